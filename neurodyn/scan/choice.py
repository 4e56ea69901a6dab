"""Which kernel runs a scan, or why none does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurodyn.scan.bind import UnfitError
from neurodyn.scan.coupled import coupled_op
from neurodyn.scan.links import ALONE, Linked, misfit
from neurodyn.scan.loop import Cell, compute_dtype
from neurodyn.scan.op import PLAIN, scan_op
from neurodyn.scan.reference import Sequences
from neurodyn.step.graph import KernelError, UnsupportedStepError
from neurodyn.step.program import Program, program_of
from neurodyn.step.torch_private import carries_tangents, functorch_active

KERNELS = {"cpu": "cpu", "cuda": "gpu"}
"""The backend that `"auto"` takes, by device."""


class Asked(NamedTuple):
    """The arguments of `scan`, checked. `linked` are the matrices of its feedback."""

    cell: Cell
    inputs: Sequence[Tensor]
    state: Sequence[Tensor]
    backend: str
    linked: Linked = ALONE
    final: bool = True

    def error(self, reason: str) -> ValueError:
        """The error to raise if the backend that was asked for cannot run this."""
        return ValueError(f"backend: {self.backend!r} cannot run this: {reason}")


def compiled(asked: Asked) -> tuple[tuple[Sequences, Sequences, Sequences] | None, str | None]:
    """The scan by a kernel; or None, and why the plain loop has to run."""
    choice = choose(asked)
    if not isinstance(choice, str):
        name, program, leaves = choice
        try:
            if (reason := misfit(asked.linked.links.onward, program.trace)) is not None:
                raise UnfitError(reason)
            return run(name, program.key, leaves, program.trace.n_outputs, asked), None
        except UnfitError as error:
            choice = str(error)
        except KernelError:
            choice = program.failures[name]
    if asked.backend != "auto":
        raise asked.error(choice)
    return None, choice


def choose(asked: Asked) -> tuple[str, Program, list[Tensor]] | str:
    """Backend, program, and its tensors; or why no kernel can run. Shapes are not looked at: they
    are checked when the program is bound to them."""
    cell, inputs, state, backend = asked[:4]
    if not isinstance(cell, nn.Module):
        return f"the cell is a {type(cell).__name__}, not an nn.Module"
    if functorch_active():
        return "kernels do not run inside transforms of torch.func"
    if carries_tangents():
        return "kernels carry no tangents of forward-mode differentiation"
    signature = len(inputs), len(state), compute_dtype(inputs, state)
    found = look_up(cell, *signature, backend, inputs[0].device.type)
    if isinstance(found, str):
        return found
    name, program, tensors = found
    leaves = [*inputs, *state, *tensors]
    if type(inputs[0]) in PLAIN and not PLAIN.issuperset(map(type, leaves)):
        strange = {type(leaf).__name__ for leaf in leaves if type(leaf) not in PLAIN}
        return f"kernels read plain tensors, got {', '.join(sorted(strange))}"
    return program.failures.get(name) or (name, program, leaves)


def look_up(
    cell: nn.Module, n_inputs: int, n_states: int, dtype: torch.dtype, backend: str, device: str
) -> tuple[str, Program, list[Tensor]] | str:
    """The backend, the program of a cell, and the cell's tensors; or why there is none."""
    name = KERNELS.get(device) if backend == "auto" else backend
    if name is None:
        return f"{device!r} devices have no kernels"
    program, tensors = program_of(cell, n_inputs, n_states, dtype)
    return str(program) if isinstance(program, UnsupportedStepError) else (name, program, tensors)


def run(
    name: str, key: str, leaves: list[Tensor], n_outputs: int, asked: Asked
) -> tuple[Sequences, Sequences, Sequences]:
    """The scan by the program of that key, on these inputs, states and parameters."""
    alone = asked.linked is ALONE
    operator = scan_op if alone else partial(coupled_op, linked=asked.linked)
    results = operator(name, key, leaves, asked.final)
    n_finals = len(asked.state) if asked.final else 0
    # Checkpoints follow, which are for the backward pass alone.
    return tuple(results[:n_outputs]), tuple(results[n_outputs : n_outputs + n_finals]), ()
