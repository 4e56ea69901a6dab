"""The CPU backend: writes, compiles and launches kernels by LLVM."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurodyn.scan import cpu_compile, cpu_source, team
from neurodyn.scan.layout import LINE, Layout, Static, StaticKind, plan_layout
from neurodyn.scan.lock import MAKING
from neurodyn.scan.parts import Parts
from neurodyn.scan.plan import Plan, making

SEGMENT = 16
"""Steps whose states and inputs a thread has in its cache at once in the backward pass; of longer
sequences, forward keeps the state at the start of every so many steps."""
PASSING = 1 << 23
"""Bytes from which an output is written past the cache, which could not hold it for its reader."""
NOTHING = (0, 0, 0)


def why_not(plan: Plan, device: str, stored: Sequence[torch.dtype]) -> str | None:
    """Why these kernels cannot run on inputs of that device and of those dtypes, or None."""
    if device != "cpu":
        return f"x is on {device!r}, not on the CPU"
    if plan.dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 or float64, not in {plan.dtype}"
    return None


def source(plan: Plan) -> str:
    """The source of both kernels, for parameters and states that are single numbers."""
    bits = 64 if plan.dtype == torch.float64 else 32
    forward_parts, _ = plan.parts(None)
    backward_parts, _ = plan.parts((True,) * len(plan.trace.vjp))
    pair = (cpu_source.forward, forward_parts), (cpu_source.backward, backward_parts)
    return "\n\n".join(
        write(parts, bits, ["one"] * (len(plan.trace.states) + len(parts.parameters)))
        for write, parts in pair
    )


def segment(steps: int) -> int:
    """How many steps go by between states that forward keeps."""
    return min(steps, SEGMENT)


def forward(
    plan: Plan,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    keep: bool = False,
    final: bool = True,
) -> list[Tensor]:
    """Outputs over time; if asked for, final states and the states at the start of segments."""
    parts, used = plan.parts(None)
    values = [*states, *(parameters[i] for i in used)]
    layout = _layout(inputs[0], values)
    kernel = _kernel(plan, parts, layout, None)
    steps = inputs[0].shape[0]
    length = segment(steps)
    tensors = _Arguments(layout, plan.dtype)
    for x in inputs:
        tensors.sequence(x)
    tensors.statics(values)
    segments = -(-steps // length) if keep and steps > length else 0
    outputs = [layout.empty(inputs[0], steps, plan.dtype) for _ in range(plan.trace.n_outputs)]
    finals = [layout.empty(inputs[0], None, plan.dtype) for _ in states if final]
    marks = [layout.empty(inputs[0], segments, plan.dtype) for _ in states if segments]
    tensors.fresh(outputs)
    tensors.fresh(finals, len(states))
    tensors.fresh(marks, len(states))
    team.run(kernel, layout.tasks, tensors.pack(steps, length), steps * layout.elements)
    return [*(_as(y, inputs[0].dtype) for y in outputs), *finals, *marks]


def backward(
    plan: Plan,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    wanted: tuple[bool, ...],
    marks: Sequence[Tensor] = (),
) -> list[Tensor | None]:
    """The gradients of inputs, states and parameters; None where not wanted or zero."""
    parts, used = plan.parts(wanted)
    values = [*states, *(parameters[i] for i in used)]
    layout = _layout(inputs[0], values)
    kernel = _kernel(plan, parts, layout, wanted)
    steps = inputs[0].shape[0]
    tensors = _Arguments(layout, plan.dtype)
    for x in inputs:
        tensors.sequence(x)
    tensors.statics(values)
    for i, grad in enumerate(grads):
        tensors.cotangent(grad, is_state=i >= plan.trace.n_outputs)
    tensors.fresh(marks, len(states))
    result: list[Tensor | None] = [None] * len(parts.leaves)
    for i, leaf in enumerate(plan.trace.inputs):
        if parts.gradient(leaf) is not None:
            grad_x = result[i] = layout.empty(inputs[0], steps, plan.dtype)
            tensors.fresh([grad_x])
    sums: list[tuple[int, Tensor, Tensor, Static]] = []
    for i, (value, static) in enumerate(zip(values, layout.statics, strict=True)):
        index = len(inputs) + (i if i < len(states) else len(states) + used[i - len(states)])
        if i < len(states) or parts.gradient(parts.leaves[index]) is not None:
            sums.append((index, value, tensors.sum(static, inputs[0]), static))
    team.run(kernel, layout.tasks, tensors.pack(steps, segment(steps)), steps * layout.elements)
    for i, x in enumerate(inputs):
        if (given := result[i]) is not None:
            result[i] = _as(given, x.dtype)
    for index, value, partial, static in sums:
        if wanted[index]:
            grad = layout.collect(partial, static)
            result[index] = _as(grad, value.dtype).reshape(value.shape)
    return result


class _Arguments:
    """The kernel's argument array: addresses and strides."""

    def __init__(self, layout: Layout, dtype: torch.dtype) -> None:
        self.layout, self.dtype = layout, dtype
        self.entries: list[int] = []
        self.alive: list[Tensor] = []

    def _add(self, tensor: Tensor, over_time: int, over_blocks: int) -> None:
        self.alive.append(tensor)
        self.entries += (tensor.data_ptr(), over_time, over_blocks)

    def sequence(self, x: Tensor) -> None:
        self._add(*self.layout.arrange(_as(x, self.dtype)))

    def fresh(self, tensors: Sequence[Tensor], count: int = 1) -> None:
        """What lies in the layout's own order; nothing in place of `count` if there are none."""
        for y in tensors:
            self._add(y, self.layout.elements, self.layout.period)
        if not tensors:
            self.entries += NOTHING * count

    def statics(self, values: Sequence[Tensor]) -> None:
        for value, static in zip(values, self.layout.statics, strict=True):
            held = self.layout.values(_as(value, self.dtype), static)
            if static.kind == "one":
                self._add(held, static.run, static.size)
            else:
                self._add(held, 0, self.layout.period)

    def cotangent(self, grad: Tensor | None, *, is_state: bool) -> None:
        layout = self.layout
        if grad is None and is_state:
            self.entries += NOTHING
        elif grad is None:
            self._add(torch.zeros(layout.period, dtype=self.dtype), 0, 0)
        elif is_state:
            self.sequence(grad[None])
        else:
            self.sequence(grad)

    def sum(self, static: Static, like: Tensor) -> Tensor:
        layout = self.layout
        if static.kind == "full":
            total = layout.empty(like, None, self.dtype)
        elif static.kind == "row":
            total = torch.empty(layout.groups * layout.period, dtype=torch.float64)
        else:
            total = torch.empty(layout.tasks, dtype=torch.float64)
        self._add(total, 0, layout.period)
        return total

    def pack(self, steps: int, length: int) -> Any:
        at = self.layout
        walk = (steps, at.outer, at.period, at.inner, at.pieces, at.width, at.groups)
        size = steps * at.elements * self.dtype.itemsize
        whole = not any(n % LINE for n in (at.elements, at.period, at.inner, at.width))
        passing = whole and size >= PASSING
        values = (*walk, at.elements, length, passing, *self.entries)
        return (ctypes.c_int64 * len(values))(*values)


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    # PyTorch takes microseconds to find that there is nothing to do.
    return x if x.dtype == dtype else x.to(dtype)


def _layout(x: Tensor, values: Sequence[Tensor]) -> Layout:
    return plan_layout(
        tuple(x.shape[1:]), x.stride()[1:], tuple(tuple(value.shape) for value in values)
    )


def _kernel(
    plan: Plan, parts: Parts, layout: Layout, wanted: tuple[bool, ...] | None
) -> team.Kernel:
    kinds = tuple(static.kind for static in layout.statics)
    key = ("cpu", wanted, kinds)
    if key not in plan.kernels:
        with MAKING, making(plan, "cpu"):
            if key not in plan.kernels:
                plan.kernels[key] = _compile(plan, parts, kinds, wanted)
    kernel: team.Kernel = plan.kernels[key]
    return kernel


def _compile(
    plan: Plan, parts: Parts, kinds: tuple[StaticKind, ...], wanted: tuple[bool, ...] | None
) -> team.Kernel:
    write = cpu_source.forward if wanted is None else cpu_source.backward
    bits = 64 if plan.dtype == torch.float64 else 32
    variant = hashlib.sha256(repr((wanted, kinds)).encode()).hexdigest()[:8]
    name = f"{plan.key}_{write.__name__}_{variant}"
    return cpu_compile.kernel(name, write.__name__, lambda: write(parts, bits, kinds))
