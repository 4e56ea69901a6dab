"""`scan`: the one door to every backend."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from neurodyn.errors import unknown
from neurodyn.scan.op import backend_module, scan_op
from neurodyn.scan.reference import Sequences, scan_reference
from neurodyn.step.graph import KernelError, UnsupportedStepError
from neurodyn.step.program import Program, program_of

BACKENDS = ("auto", "reference", "cpu", "gpu")
INLINE_STEPS = 8
"""Up to this many steps `torch.compile` sees the loop itself, and fuses it with what is around."""

_warned: set[str] = set()


class Cell(Protocol):
    """What `scan` runs: a module with a step. Its tensors are the step's parameters."""

    @property
    def step(self) -> Callable[..., tuple[Tensor, ...]]:
        """`step(*inputs, *states) -> (*outputs, *new_states)`."""
        ...


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
        backend: `"reference"` is the plain loop; `"cpu"` and `"gpu"` are compiled kernels, an error
            where they cannot run; `"auto"` takes the fastest that can run, and warns once if that
            is the reference although a kernel was to be expected.
        final: return the final states; nothing writes them otherwise.
        record: return every state over time as well (by the reference).

    Returns:
        `(outputs, final_state, recorded)`: tuples of sequences `(T, ...)`, of tensors of one
        step's shape, and of sequences `(T, ...)`; the latter two empty unless asked for.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    shape = inputs[0].shape
    for i, sequence in enumerate(inputs):
        if sequence.shape != shape:
            raise ValueError(
                f"inputs[{i}]: expected {tuple(shape)} as inputs[0], got {tuple(sequence.shape)}"
            )
    if shape[0] == 0:
        raise ValueError("inputs: expected at least one timestep, got T=0")
    if backend != "reference" and not record and inputs[0].numel() > 0:
        if torch.compiler.is_compiling():
            result = _captured(cell, inputs, state, backend, final)
        else:
            result = _compiled(cell, inputs, state, backend, final)
        if result is not None:
            return result
    outputs, last, recorded = _reference(cell, inputs, state, record)
    return outputs, last if final else (), recorded


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
    source: str = backend_module(backend).source(program)
    return source


def _reference(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], record: bool
) -> tuple[Sequences, Sequences, Sequences]:
    dtype = _arithmetic(inputs, state)
    wide = tuple(sequence.to(dtype) for sequence in inputs)
    shape = inputs[0].shape[1:]
    full = tuple(value.expand(shape) for value in state)

    def step(*arguments: Tensor) -> tuple[Tensor, ...]:
        # A result of parameters alone is as large as they are.
        results = cell.step(*arguments)
        if not isinstance(results, tuple):
            return results
        return tuple(_expanded(value, shape) for value in results)

    outputs, final, history = scan_reference(step, wide, full, record)
    return tuple(y.to(inputs[0].dtype) for y in outputs), final, history


def _expanded(value: Tensor, shape: torch.Size) -> Tensor:
    if value.shape == shape:
        return value
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"step: expected what it returns to have the shape of a step, {tuple(shape)}, got "
            f"{tuple(value.shape)}"
        ) from None


def _arithmetic(inputs: Sequence[Tensor], state: Sequence[Tensor]) -> torch.dtype:
    """What a scan computes in: the widest of inputs and states. Outputs are as the first input."""
    dtype = inputs[0].dtype
    for value in (*inputs[1:], *state):
        dtype = torch.promote_types(dtype, value.dtype)
    return dtype


def why_not(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], *, backend: str = "auto"
) -> str | None:
    """Why a backend cannot run this cell on these inputs; None if it can.

    Args:
        cell, inputs, state: as for `scan`.
        backend: `"cpu"`, `"gpu"`, or `"auto"` for the one of the inputs' device.
    """
    program = _choose(cell, inputs, state, backend)
    return program if isinstance(program, str) else None


Choice = tuple[str, Program, list[Tensor]]


def _choose(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str
) -> Choice | str:
    """The backend, the program and the cell's tensors; or why there is none."""
    x = inputs[0]
    if not isinstance(cell, nn.Module):
        return f"the cell is a {type(cell).__name__}, not an nn.Module"
    if torch._C._are_functorch_transforms_active():
        return "kernels do not run inside transforms of torch.func"
    if forward_ad._current_level >= 0:
        return "kernels carry no tangents of forward-mode differentiation"
    program, tensors = program_of(cell, len(inputs), len(state), _arithmetic(inputs, state))
    if isinstance(program, UnsupportedStepError):
        return str(program)
    # Symbolic sizes cannot be looked up.
    misfit = _misfit if isinstance(x.numel(), int) else _misfit.__wrapped__
    reason = misfit(tuple(x.shape[1:]), tuple(t.shape for t in (*state, *tensors)))
    if reason is None and any(t.device != x.device for t in (*inputs, *state, *tensors)):
        reason = f"not all tensors of the cell are on {x.device}, as x is"
    name = _kernels_of(backend, x.device.type)
    reason = reason or _unfit(name, program, x.device.type, tuple(x.dtype for x in inputs))
    return reason or (name, program, tensors)


def _kernels_of(backend: str, device: str) -> str:
    return {"cpu": "cpu", "cuda": "gpu"}.get(device, "") if backend == "auto" else backend


def _unfit(name: str, program: Program, device: str, stored: tuple[torch.dtype, ...]) -> str | None:
    if not name:
        return f"there are no kernels for {device!r} devices"
    reason: str | None = backend_module(name).why_not(program, device, stored)
    return reason or program.failures.get(name)


@lru_cache(maxsize=1024)
def _misfit(step: tuple[int, ...], shapes: tuple[tuple[int, ...], ...]) -> str | None:
    for shape in shapes:
        pairs = zip(reversed(shape), reversed(step), strict=False)
        if len(shape) > len(step) or any(size not in (1, given) for size, given in pairs):
            return f"a parameter or state of shape {tuple(shape)} does not broadcast to {step}"
    return None


def _compiled(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str, final: bool
) -> tuple[Sequences, Sequences, Sequences] | None:
    """The scan by a kernel; None if the reference has to do it."""
    choice = _choose(cell, inputs, state, backend)
    if not isinstance(choice, str):
        name, program, tensors = choice
        try:
            return _run(name, program.key, program.trace.n_outputs, inputs, state, tensors, final)
        except KernelError:
            choice = program.failures[name]
    if backend != "auto":
        raise _cannot(backend, choice)
    _warn_once(f"scan: the plain loop runs in place of a kernel: {choice}")
    return None


def _cannot(backend: str, reason: str) -> ValueError:
    return ValueError(f"backend: {backend!r} cannot run this: {reason}")


def _run(
    backend: str,
    key: str,
    n_outputs: int,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    tensors: Sequence[Tensor],
    final: bool,
) -> tuple[Sequences, Sequences, Sequences]:
    results = scan_op(backend, key, inputs, state, tensors, final)
    count = len(state) if final else 0
    return tuple(results[:n_outputs]), tuple(results[n_outputs : n_outputs + count]), ()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _captured(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str, final: bool
) -> tuple[Sequences, Sequences, Sequences] | None:
    """The scan as `torch.compile` sees it.

    A short loop is left to Inductor, which fuses it with its neighbours; unrolled, a long one would
    take minutes to compile, so it goes into the graph as one operator. So does a short one for
    which a backend is named.
    """
    x = inputs[0]
    if backend == "auto" and x.shape[0] <= INLINE_STEPS:
        return None
    assert isinstance(cell, nn.Module)
    numbers = len(inputs), len(state), _arithmetic(inputs, state)
    dtypes = tuple(sequence.dtype for sequence in inputs)
    found = _constant_choice(id(cell), *numbers, backend, x.device.type, dtypes)
    if isinstance(found, str):
        if backend != "auto":
            raise _cannot(backend, found)
        return None
    # One step is traced for nothing but its guards: whatever it reads of the cell, a change of that
    # has to lead here again. Its result is unused and drops out of the graph.
    cell.step(*(x[0] for x in inputs), *(value.expand(x.shape[1:]) for value in state))
    name, key, names, n_outputs = found
    tensors = [_tensor(cell, name) for name in names]
    return _run(name, key, n_outputs, inputs, state, tensors, final)


def _tensor(module: nn.Module, name: str) -> Tensor:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    assert isinstance(value, Tensor)
    return value


def _constant_choice(
    cell_id: int,
    n_inputs: int,
    n_states: int,
    dtype: torch.dtype,
    backend: str,
    device: str,
    stored: tuple[torch.dtype, ...],
) -> tuple[str, str, tuple[str, ...], int] | str:
    """Backend, key, names of tensors and number of outputs; or why there is none.

    Before PyTorch 2.12 a constant function takes no module. It takes the `id` of one, which is
    guarded in the same way. The caller holds the module, so it is alive.
    """
    cell: nn.Module = ctypes.cast(cell_id, ctypes.py_object).value
    program, _ = program_of(cell, n_inputs, n_states, dtype)
    if isinstance(program, UnsupportedStepError):
        return str(program)
    name = _kernels_of(backend, device)
    reason = _unfit(name, program, device, stored)
    return reason or (name, program.key, program.names, program.trace.n_outputs)


# What `torch.compiler.assume_constant_result` does, without importing the compiler stack here.
_constant_choice._dynamo_marked_constant = True  # type: ignore[attr-defined]
