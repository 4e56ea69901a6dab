"""A cell over time without a kernel: the plain loop, or all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from neurodyn.scan.links import ALONE, Linked
from neurodyn.scan.reference import Sequences, scan_captured, scan_reference
from neurodyn.step.torch_private import surely

INLINE_STEPS = 8
"""Up to this many steps, `torch.export`, and `torch.compile` on a GPU, see the loop unrolled, and
fuse it with its neighbours."""


class Cell(Protocol):
    """What `scan` runs: a module with a step. Its tensors are the step's parameters.

    A cell that is made for one call says how to `torch.compile`, which has to trace one like it:
    its attribute `made_by` is `(module, name of a method, arguments)`.
    """

    @property
    def step(self) -> Callable[..., tuple[Tensor, ...]]:
        """`step(*inputs, *states) -> (*outputs, *new_states)`."""
        ...


def run_loop(
    cell: Cell,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    record: bool,
    linked: Linked = ALONE,
) -> tuple[Sequences, Sequences, Sequences]:
    """The plain loop, in the dtype of the arithmetic. Outputs have the inputs' dtype."""
    dtype = compute_dtype(inputs, state)
    wide = tuple(sequence.to(dtype) for sequence in inputs)
    shape = inputs[0].shape[1:]
    full = tuple(value.expand(shape) for value in state)

    def step(*arguments: Tensor) -> tuple[Tensor, ...]:
        if linked.feedback:
            arguments = linked.arguments(cell.step, arguments)
        # A result that depends on parameters alone has their shape.
        results = cell.step(*arguments)
        if not isinstance(results, tuple):
            return results
        return tuple(_expanded(value, arguments[0].shape) for value in results)

    run = scan_reference
    if _as_loop(wide[0], record):
        run, linked = scan_captured, linked.apart()
    outputs, final, history = run(step, wide, full, record)
    return tuple(y.to(inputs[0].dtype) for y in outputs), final, history


def run_at_once(
    cell: Any, inputs: Sequence[Tensor], state: Sequence[Tensor]
) -> tuple[Sequences, Sequences, Sequences]:
    """All steps at once, by the cell's `over_time`, in the same dtypes."""
    dtype = compute_dtype(inputs, state)
    wide = tuple(sequence.to(dtype) for sequence in inputs)
    spikes, *final = cell.over_time(wide, tuple(value.to(dtype) for value in state))
    return (spikes.to(inputs[0].dtype),), tuple(final), ()


def _as_loop(x: Tensor, record: bool) -> bool:
    """Whether an exported program holds the loop over time as such. A short one is unrolled, so
    that the program's runtime can fuse it with its neighbours."""
    if not torch.compiler.is_exporting() or record:
        return False
    return not surely(x.shape[0] <= INLINE_STEPS)


def _expanded(value: Tensor, shape: torch.Size) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"step: expected a tuple of tensors, got a {type(value).__name__} in it")
    if value.shape == shape:
        return value
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"step: expected results of the shape of a step, {tuple(shape)}, got "
            f"{tuple(value.shape)}"
        ) from None


def compute_dtype(inputs: Sequence[Tensor], state: Sequence[Tensor]) -> torch.dtype:
    """The dtype of the arithmetic: the widest of inputs and states."""
    dtype = inputs[0].dtype
    for value in (*inputs[1:], *state):
        dtype = torch.promote_types(dtype, value.dtype)
    return dtype
