"""`scan`: the one door to every backend."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.scan.bind import UnfitError, unfit
from neurodyn.scan.launch import backend_of, specs
from neurodyn.scan.loop import INLINE_STEPS, Cell, arithmetic, run_at_once, run_loop
from neurodyn.scan.op import PLAIN, scan_op
from neurodyn.scan.reference import Sequences
from neurodyn.step.graph import KernelError, UnsupportedStepError
from neurodyn.step.program import Numbers, Program, number_at, numbers, program_of
from neurodyn.step.torch_private import (
    assume_constant_result,
    carries_tangents,
    functorch_active,
)

BACKENDS = ("auto", "reference", "cpu", "gpu", "parallel")
KERNELS = {"cpu": "cpu", "cuda": "gpu"}
"""The backend that `"auto"` takes, by device."""
_warned: set[str] = set()


def scan(
    cell: Cell,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    *,
    backend: str = "auto",
    final: bool = True,
    record: bool = False,
) -> tuple[Sequences, Sequences, Sequences]:
    """Run `cell.step` over the first dimension of the inputs.

    Args:
        cell: the step and its parameters.
        inputs: sequences of equal shape `(T, ...)`, T >= 1.
        state: initial states, each broadcastable to one step `inputs[0].shape[1:]`.
        backend: `"reference"` is the plain loop. `"cpu"` and `"gpu"` are compiled kernels; it is an
            error if they cannot run. `"auto"` runs a kernel if one can, and otherwise the plain
            loop; it says why in a warning, once per reason. `"parallel"` runs all steps at once,
            for linear dynamics. An exported program holds the plain loop, whatever the backend.
        final: return the final states; otherwise they are not written.
        record: return every state over time as well, which only the plain loop can.

    Returns:
        `(outputs, final_state, recorded)`: tuples of sequences `(T, ...)`, of tensors of one
        step's shape, and of sequences `(T, ...)`; the latter two empty unless asked for.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if backend == "parallel":
        check_parallel(cell)
    shape = inputs[0].shape
    for i, sequence in enumerate(inputs):
        if sequence.shape != shape:
            raise ValueError(
                f"inputs[{i}]: expected {tuple(shape)} as inputs[0], got {tuple(sequence.shape)}"
            )
    if shape[0] == 0:
        raise ValueError("inputs: expected at least one timestep, got T=0")
    looped = backend == "reference" or record or inputs[0].numel() == 0
    why = None
    # An exported program runs where there is neither this package nor a kernel.
    if not looped and not torch.compiler.is_exporting():
        if backend == "parallel":
            return run_at_once(cell, inputs, state)
        if torch.compiler.is_compiling():
            result = _captured(cell, inputs, state, backend, final)
        else:
            result, why = _compiled(cell, inputs, state, backend, final)
        if result is not None:
            return result
    outputs, last, recorded = run_loop(cell, inputs, state, record)
    if why is not None:  # Now, because a step that cannot run at all is an error, and no more.
        _warn_once(f"scan: the plain loop runs instead of a kernel: {why}")
    return outputs, last if final else (), recorded


def check_parallel(cell: Any) -> None:
    """An error unless the cell runs all steps at once: it then has `over_time(inputs, states)`, and
    None as what is `nonlinear` in it."""
    if (got := getattr(cell, "nonlinear", type(cell).__name__)) is not None:
        expected = "expected linear dynamics (Modal or Planar of degree 1 with feedback='none')"
        raise _cannot("parallel", f"{expected}, got {got}")


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
    """Why a backend cannot run this cell on these inputs; None if it can.

    Args:
        cell, inputs, state: as for `scan`.
        backend: `"cpu"`, `"gpu"`, or `"auto"` for the backend of the inputs' device.
    """
    choice = _choose(cell, inputs, state, backend)
    if isinstance(choice, str):
        return choice
    name, program, leaves = choice
    return unfit(name, program, specs(leaves))


def _choose(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str
) -> tuple[str, Program, list[Tensor]] | str:
    """Backend, program and tensors; or a reason against kernels, whatever the tensors' shapes."""
    if not isinstance(cell, nn.Module):
        return f"the cell is a {type(cell).__name__}, not an nn.Module"
    if functorch_active():
        return "kernels do not run inside transforms of torch.func"
    if carries_tangents():
        return "kernels carry no tangents of forward-mode differentiation"
    device = inputs[0].device.type
    name = KERNELS.get(device) if backend == "auto" else backend
    if name is None:
        return f"there are no kernels for {device!r} devices"
    program, tensors = program_of(cell, len(inputs), len(state), arithmetic(inputs, state))
    if isinstance(program, UnsupportedStepError):
        return str(program)
    leaves = [*inputs, *state, *tensors]
    if type(inputs[0]) in PLAIN and not PLAIN.issuperset(map(type, leaves)):
        strange = {type(leaf).__name__ for leaf in leaves if type(leaf) not in PLAIN}
        return f"kernels read plain tensors, got {', '.join(sorted(strange))}"
    return program.failures.get(name) or (name, program, leaves)


def _compiled(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str, final: bool
) -> tuple[tuple[Sequences, Sequences, Sequences] | None, str | None]:
    """The scan by a kernel; or None, and why the plain loop has to run."""
    choice = _choose(cell, inputs, state, backend)
    if not isinstance(choice, str):
        try:
            name, program, leaves = choice
            n_finals = len(state) if final else 0
            return _run(name, program.key, leaves, program.trace.n_outputs, n_finals), None
        except UnfitError as error:
            choice = str(error)
        except KernelError:
            choice = program.failures[name]
    if backend != "auto":
        raise _cannot(backend, choice)
    return None, choice


def _cannot(backend: str, reason: str) -> ValueError:
    return ValueError(f"backend: {backend!r} cannot run this: {reason}")


def _run(
    name: str, key: str, leaves: list[Tensor], n_outputs: int, n_finals: int
) -> tuple[Sequences, Sequences, Sequences]:
    results = scan_op(name, key, leaves, n_finals > 0)
    # Checkpoints follow, which are for the backward pass alone.
    return tuple(results[:n_outputs]), tuple(results[n_outputs : n_outputs + n_finals]), ()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _captured(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str, final: bool
) -> tuple[Sequences, Sequences, Sequences] | None:
    """The scan as `torch.compile` sees it.

    It goes into the graph as one operator. But on a GPU a short loop is left to Inductor, which
    fuses it with its neighbours, unless a backend is named. (On a CPU, Inductor's loop takes four
    times as long as the kernel, fused or not. A long one would take minutes to compile.)
    """
    x = inputs[0]
    if backend == "auto" and x.device.type != "cpu" and x.shape[0] <= INLINE_STEPS:
        return None
    assert isinstance(cell, nn.Module)
    numbers = len(inputs), len(state), arithmetic(inputs, state)
    dtypes = tuple(sequence.dtype for sequence in inputs)
    owner, method, given = getattr(cell, "made_by", None) or (cell, "", ())
    found = _constant_choice(id(owner), method, given, *numbers, backend, x.device.type, dtypes)
    if isinstance(found, str):
        if backend != "auto":
            raise _cannot(backend, found)
        return None
    # One step is traced for its guards alone: a change of what it reads has to lead here again. Its
    # result is unused and drops out of the graph.
    cell.step(*(x[0] for x in inputs), *(value.expand(x.shape[1:]) for value in state))
    name, key, names, n_outputs, constants = found
    # A number that changes becomes a symbol for `torch.compile`; comparing it is a guard on it.
    if any(number_at(cell, path) != value for path, value in constants):
        return None
    leaves = [*inputs, *state, *(_tensor(cell, name) for name in names)]
    return _run(name, key, leaves, n_outputs, len(state) if final else 0)


def _tensor(module: nn.Module, name: str) -> Tensor:
    value: Any = module
    for part in name.split("."):  # `c.0` is an element of a tensor `c`.
        value = value[int(part)] if isinstance(value, Tensor) else getattr(value, part)
    assert isinstance(value, Tensor)
    return value


@assume_constant_result
def _constant_choice(
    owner_id: int,
    method: str,
    given: tuple[Any, ...],
    n_inputs: int,
    n_states: int,
    dtype: torch.dtype,
    backend: str,
    device: str,
    dtypes: tuple[torch.dtype, ...],
) -> tuple[str, str, tuple[str, ...], int, Numbers] | str:
    """Backend, key, names of tensors, number of outputs, and numbers of the cell; or why there is
    none.

    Before PyTorch 2.12 a constant function takes no module. It takes the `id` of one, which is
    guarded in the same way. The caller holds the module, so it is alive. A cell that is made in
    the captured code has no `id` yet: `method` of the module that is its owner makes one like it.
    """
    owner: Any = ctypes.cast(owner_id, ctypes.py_object).value
    cell: nn.Module = getattr(owner, method)(*given) if method else owner
    program, _ = program_of(cell, n_inputs, n_states, dtype)
    if isinstance(program, UnsupportedStepError):
        return str(program)
    name = KERNELS.get(device) if backend == "auto" else backend
    if name is None:
        return f"there are no kernels for {device!r} devices"
    reason = program.failures.get(name) or backend_of(name).why_not(program, device, dtypes)
    return reason or (name, program.key, program.names, program.trace.n_outputs, numbers(cell))
