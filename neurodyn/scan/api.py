"""`scan`: the one door to every backend."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Protocol

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.scan.graph import UnsupportedStepError
from neurodyn.scan.op import backend_module, scan_op
from neurodyn.scan.plan import Plan, plan_of
from neurodyn.scan.reference import Sequences, scan_reference

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
        record: return every state over time as well (by the reference).

    Returns:
        `(outputs, final_state, recorded)`: tuples of sequences `(T, ...)`, of tensors of one
        step's shape, and of sequences `(T, ...)`, the last empty unless `record`.
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
    if backend != "reference" and not record:
        if torch.compiler.is_compiling():
            result = _captured(cell, inputs, state, backend)
        else:
            result = _compiled(cell, inputs, state, backend)
        if result is not None:
            return result
    full = tuple(value.expand(shape[1:]) for value in state)
    return scan_reference(cell.step, inputs, full, record)


def why_not(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], *, backend: str = "auto"
) -> str | None:
    """Why a backend cannot run this cell on these inputs; None if it can.

    Args:
        cell, inputs, state: as for `scan`.
        backend: `"cpu"`, `"gpu"`, or `"auto"` for the one of the inputs' device.
    """
    plan = _choose(cell, inputs, state, backend)
    return plan if isinstance(plan, str) else None


Choice = tuple[str, Plan, list[Tensor]]


def _choose(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str
) -> Choice | str:
    """The backend, the plan and the cell's tensors; or why there is none."""
    x = inputs[0]
    name = {"cpu": "cpu", "cuda": "gpu"}.get(x.device.type) if backend == "auto" else backend
    if name is None:
        return f"there are no kernels for {x.device.type!r} devices"
    if not isinstance(cell, nn.Module):
        return f"the cell is a {type(cell).__name__}, not an nn.Module"
    if torch._C._are_functorch_transforms_active():
        return "kernels do not run inside transforms of torch.func"
    if x.numel() == 0:
        return "the input is empty"
    dtype = x.dtype
    for value in (*inputs[1:], *state):
        dtype = torch.promote_types(dtype, value.dtype)
    plan, tensors = plan_of(cell, len(inputs), len(state), dtype)
    if isinstance(plan, UnsupportedStepError):
        return str(plan)
    reason = _misfit(tuple(x.shape[1:]), tuple(t.shape for t in (*state, *tensors)))
    if reason is None and any(t.device != x.device for t in (*inputs, *state, *tensors)):
        reason = f"not all tensors of the cell are on {x.device}, as x is"
    reason = reason or backend_module(name).why_not(plan, inputs)
    return reason or (name, plan, tensors)


@lru_cache(maxsize=1024)
def _misfit(step: tuple[int, ...], shapes: tuple[tuple[int, ...], ...]) -> str | None:
    for shape in shapes:
        pairs = zip(reversed(shape), reversed(step), strict=False)
        if len(shape) > len(step) or any(size not in (1, given) for size, given in pairs):
            return f"a parameter or state of shape {tuple(shape)} does not broadcast to {step}"
    return None


def _compiled(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str
) -> tuple[Sequences, Sequences, Sequences] | None:
    """The scan by a kernel; None if the reference has to do it."""
    choice = _choose(cell, inputs, state, backend)
    if isinstance(choice, str):
        if backend != "auto":
            raise ValueError(f"backend: {backend!r} cannot run this: {choice}")
        _warn_once(f"scan: the plain loop runs in place of a kernel: {choice}")
        return None
    name, plan, tensors = choice
    results = scan_op(name, plan, inputs, state, tensors)
    n_outputs = plan.trace.n_outputs
    return tuple(results[:n_outputs]), tuple(results[n_outputs:]), ()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _captured(
    cell: Cell, inputs: Sequence[Tensor], state: Sequence[Tensor], backend: str
) -> tuple[Sequences, Sequences, Sequences] | None:
    """The scan as `torch.compile` sees it.

    A short loop is left to Inductor, which fuses it with its neighbours; unrolled, a long one would
    take minutes to compile, so it goes into the graph as one operator.
    """
    x = inputs[0]
    if x.shape[0] <= INLINE_STEPS or x.device.type not in ("cpu", "cuda"):
        return None
    dtype = x.dtype
    for value in (*inputs[1:], *state):
        dtype = torch.promote_types(dtype, value.dtype)
    assert isinstance(cell, nn.Module)
    found = _constant_plan(cell, len(inputs), len(state), dtype)
    if found is None or dtype not in (torch.float32, torch.float64):
        return None
    # One step is traced for nothing but its guards: whatever it reads of the cell, a change of that
    # has to lead here again. Its result is unused and drops out of the graph.
    cell.step(*(x[0] for x in inputs), *(value.expand(x.shape[1:]) for value in state))
    key, names, n_outputs = found
    tensors = [reduce(getattr, name.split("."), cell) for name in names]
    name = "cpu" if x.device.type == "cpu" else "gpu"
    results = torch.ops.neurodyn.scan(name, key, list(inputs), list(state), tensors)
    return tuple(results[:n_outputs]), tuple(results[n_outputs:]), ()


def _constant_plan(
    cell: nn.Module, n_inputs: int, n_states: int, dtype: torch.dtype
) -> tuple[str, tuple[str, ...], int] | None:
    plan, _ = plan_of(cell, n_inputs, n_states, dtype)
    return (plan.key, plan.names, plan.trace.n_outputs) if isinstance(plan, Plan) else None


# What `torch.compiler.assume_constant_result` does, without importing the compiler stack here.
_constant_plan._dynamo_marked_constant = True  # type: ignore[attr-defined]
