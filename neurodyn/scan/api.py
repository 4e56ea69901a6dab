"""`scan`: the one door to every backend."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.scan.bind import unfit
from neurodyn.scan.capture import captured
from neurodyn.scan.choice import Asked, choose, compiled
from neurodyn.scan.launch import backend_of, specs
from neurodyn.scan.links import ALONE, Feedback, Linked, Onward
from neurodyn.scan.loop import Cell, compute_dtype, run_at_once, run_loop
from neurodyn.scan.recorded import Recorded
from neurodyn.scan.reference import Sequences
from neurodyn.step.graph import UnsupportedStepError
from neurodyn.step.program import program_of

BACKENDS = ("auto", "reference", "cpu", "gpu", "parallel")
_warned: set[str] = set()


def scan(
    cell: Cell,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    *,
    feedback: Feedback = (),
    onward: Onward | None = None,
    backend: str = "auto",
    final: bool = True,
    record: bool = False,
) -> tuple[Sequences, Sequences, Sequences]:
    """Run `cell.step` over the first dimension of the inputs.

    Args:
        cell: the step and its parameters.
        inputs: sequences of equal shape `(T, ...)`, T >= 1.
        state: initial states, each broadcastable to one step `inputs[0].shape[1:]`.
        feedback: for each input None, or a matrix `V` of `(F, F)` through which the first state,
            in most layers the last spikes, comes back: the step's input is `x[t] + s[t-1] V`.
            Inputs are then `(T, B, F)`. The CPU has kernels for it; other devices run the plain
            loop.
        onward: with feedback, `(state, input, W)`: the step's new value of a state, times `W`, is
            added to an input of the same step. The state must not depend on that input.
        backend: `"reference"` is the plain loop. `"cpu"` and `"gpu"` are compiled kernels; it is an
            error if they cannot run. `"auto"` runs a kernel if one can, and otherwise the plain
            loop; it says why in a warning, once per reason. `"parallel"` runs all steps at once,
            for linear dynamics. An exported program holds the plain loop, whatever the backend.
        final: return the final states; otherwise they are not written.
        record: return every state after each step as well. With `"parallel"`, and inside
            `torch.compile`, the plain loop does this.

    Returns:
        `(outputs, final_state, recorded)`: outputs over time, `(T, ...)`; final states, of one
        step's shape; states over time, `(T, ...)`. All are tuples, empty if not asked for.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if backend == "parallel":
        check_parallel(cell)
    if not inputs:
        raise ValueError("inputs: expected at least one sequence (T, ...), got none")
    shape = inputs[0].shape
    for i, sequence in enumerate(inputs):
        if sequence.shape != shape:
            raise ValueError(
                f"inputs[{i}]: expected {tuple(shape)} as inputs[0], got {tuple(sequence.shape)}"
            )
    if len(shape) == 0 or shape[0] == 0:
        raise ValueError(
            f"inputs: expected sequences (T, ...) of at least one timestep, got {tuple(shape)}"
        )
    asked = Asked(cell, inputs, state, backend, final=final)
    if onward is None and all(V is None for V in feedback):
        return _scan(asked, record)
    dtype, linked = compute_dtype(inputs, state), Linked(feedback, onward)
    linked.check(inputs, len(state))
    if backend in ("gpu", "parallel"):
        raise asked.error("it has no kernel for neurons that feedback couples")
    wide = [x.to(dtype) for x in inputs]
    outputs, last, recorded = _scan(asked._replace(inputs=wide, linked=linked.to(dtype)), record)
    return tuple(y.to(inputs[0].dtype) for y in outputs), last, recorded


def _scan(asked: Asked, record: bool) -> tuple[Sequences, Sequences, Sequences]:
    cell, inputs, state, backend, linked, final = asked
    looped = backend == "reference" or inputs[0].numel() == 0
    # Coupled neurons have kernels on the CPU alone. Elsewhere the loop needs no warning.
    looped |= linked is not ALONE and backend == "auto" and inputs[0].device.type != "cpu"
    compiling, exporting = torch.compiler.is_compiling(), torch.compiler.is_exporting()
    if record and (compiling or exporting or backend == "parallel"):
        looped = True
    elif record and not looped and state and isinstance(cell, nn.Module):
        return _recorded(asked)
    why = None
    # An exported program runs where there is neither this package nor a kernel.
    if not looped and not exporting:
        if backend == "parallel":
            return run_at_once(cell, inputs, state)
        if compiling:
            result = captured(asked)
        else:
            result, why = compiled(asked)
        if result is not None:
            return result
    outputs, last, recorded = run_loop(cell, inputs, state, record, linked)
    if why is not None:  # After the loop: a step that cannot run at all is an error, no warning.
        _warn_once(f"scan: the plain loop runs instead of a kernel: {why}")
    return outputs, last if final else (), recorded


def _recorded(asked: Asked) -> tuple[Sequences, Sequences, Sequences]:
    """The scan with its states over time. A kernel writes all outputs in one dtype, and states
    have that of the arithmetic, so inputs get it too."""
    cell, inputs, state, *_ = asked
    dtype, n = compute_dtype(inputs, state), len(state)
    wide = [sequence.to(dtype) for sequence in inputs]
    found, last, _ = _scan(asked._replace(cell=Recorded(cell, n), inputs=wide), False)
    cut = len(found) - n
    return tuple(y.to(inputs[0].dtype) for y in found[:cut]), last, found[cut:]


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def check_parallel(cell: Any) -> None:
    """An error unless the cell can run all steps at once. Such a cell has a method
    `over_time(inputs, states)`, and its `nonlinear` is None."""
    if (got := getattr(cell, "nonlinear", type(cell).__name__)) is not None:
        expected = "expected linear dynamics (Modal or Planar of degree 1 with feedback='none')"
        raise ValueError(f"backend: 'parallel' cannot run this: {expected}, got {got}")


def kernel_source(
    cell: nn.Module,
    backend: str,
    *,
    n_inputs: int = 1,
    n_states: int = 1,
    dtype: torch.dtype = torch.float32,
) -> str:
    """The source of a cell's forward and backward kernels, for parameters that are single numbers.

    Args:
        cell: the module with the step.
        backend: `"cpu"` or `"gpu"`.
        n_inputs, n_states: how many of the step's arguments are inputs and states.
        dtype: of the arithmetic.
    """
    if backend not in ("cpu", "gpu"):
        raise unknown("backend", backend, ("cpu", "gpu"))
    program, _ = program_of(cell, n_inputs, n_states, dtype)
    if isinstance(program, UnsupportedStepError):
        raise program
    return backend_of(backend).source(program)


def why_not(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], *, backend: str = "auto"
) -> str | None:
    """Why a kernel cannot run this cell on these inputs; None if it can.

    Args:
        cell, inputs, state: as for `scan`.
        backend: `"cpu"`, `"gpu"`, or `"auto"` for the backend of the inputs' device.
    """
    if backend not in ("auto", "cpu", "gpu"):
        raise unknown("backend", backend, ("auto", "cpu", "gpu"))
    choice = choose(Asked(cell, inputs, state, backend))
    if isinstance(choice, str):
        return choice
    name, program, leaves = choice
    return unfit(name, program, specs(leaves))
