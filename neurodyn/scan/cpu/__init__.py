"""The CPU backend: writes, compiles and launches kernels by LLVM."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurodyn.files import MAKING
from neurodyn.scan.cpu import build
from neurodyn.scan.cpu import source as cpu_source
from neurodyn.scan.cpu import threads as team
from neurodyn.scan.layout import LINE, Layout, Operand, OperandKind, layout_of
from neurodyn.step.functions import Functions
from neurodyn.step.program import Program, making

SEGMENT = 16
"""Steps whose states and inputs a thread has in its cache at once in the backward pass; of longer
sequences, forward keeps the state at the start of every so many steps."""
STREAMING = 1 << 23
"""Bytes from which an output is written past the cache, which could not hold it for its reader."""
NOTHING = (0, 0, 0)


def why_not(program: Program, device: str, stored: Sequence[torch.dtype]) -> str | None:
    """Why these kernels cannot run on inputs of that device and of those dtypes, or None."""
    if device != "cpu":
        return f"x is on {device!r}, not on the CPU"
    if program.dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 or float64, not in {program.dtype}"
    return None


def source(program: Program) -> str:
    """The source of both kernels, for parameters and states that are single numbers."""
    bits = 64 if program.dtype == torch.float64 else 32
    forward_functions, _ = program.functions(None)
    backward_functions, _ = program.functions((True,) * len(program.trace.vjp))
    pair = (cpu_source.forward, forward_functions), (cpu_source.backward, backward_functions)
    return "\n\n".join(
        write(functions, bits, ["one"] * (len(program.trace.states) + len(functions.parameters)))
        for write, functions in pair
    )


def segment(steps: int) -> int:
    """How many steps go by between states that forward keeps."""
    return min(steps, SEGMENT)


def forward(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    keep: bool = False,
    final: bool = True,
) -> list[Tensor]:
    """Outputs over time; if asked for, final states and the states at the start of segments."""
    functions, used = program.functions(None)
    values = [*states, *(parameters[i] for i in used)]
    layout = _layout(inputs[0], values)
    kernel = _kernel(program, functions, layout, None)
    steps = inputs[0].shape[0]
    length = segment(steps)
    tensors = _Arguments(layout, program.dtype)
    for x in inputs:
        tensors.sequence(x)
    tensors.operands(values)
    segments = -(-steps // length) if keep and steps > length else 0
    outputs = [
        layout.empty(inputs[0], steps, program.dtype) for _ in range(program.trace.n_outputs)
    ]
    finals = [layout.empty(inputs[0], None, program.dtype) for _ in states if final]
    checkpoints = [layout.empty(inputs[0], segments, program.dtype) for _ in states if segments]
    tensors.fresh(outputs)
    tensors.fresh(finals, len(states))
    tensors.fresh(checkpoints, len(states))
    team.run(kernel, layout.tasks, tensors.pack(steps, length), steps * layout.elements)
    return [*(_as(y, inputs[0].dtype) for y in outputs), *finals, *checkpoints]


def backward(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    wanted: tuple[bool, ...],
    checkpoints: Sequence[Tensor] = (),
) -> list[Tensor | None]:
    """The gradients of inputs, states and parameters; None where not wanted or zero."""
    functions, used = program.functions(wanted)
    values = [*states, *(parameters[i] for i in used)]
    layout = _layout(inputs[0], values)
    kernel = _kernel(program, functions, layout, wanted)
    steps = inputs[0].shape[0]
    tensors = _Arguments(layout, program.dtype)
    for x in inputs:
        tensors.sequence(x)
    tensors.operands(values)
    for i, grad in enumerate(grads):
        tensors.cotangent(grad, is_state=i >= program.trace.n_outputs)
    tensors.fresh(checkpoints, len(states))
    result: list[Tensor | None] = [None] * len(functions.leaves)
    for i, leaf in enumerate(program.trace.inputs):
        if functions.gradient(leaf) is not None:
            grad_x = result[i] = layout.empty(inputs[0], steps, program.dtype)
            tensors.fresh([grad_x])
    sums: list[tuple[int, Tensor, Tensor, Operand]] = []
    for i, (value, operand) in enumerate(zip(values, layout.operands, strict=True)):
        index = len(inputs) + (i if i < len(states) else len(states) + used[i - len(states)])
        if i < len(states) or functions.gradient(functions.leaves[index]) is not None:
            sums.append((index, value, tensors.sum(operand, inputs[0]), operand))
    team.run(kernel, layout.tasks, tensors.pack(steps, segment(steps)), steps * layout.elements)
    for i, x in enumerate(inputs):
        if (given := result[i]) is not None:
            result[i] = _as(given, x.dtype)
    for index, value, partial, operand in sums:
        if wanted[index]:
            grad = layout.collect(partial, operand)
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

    def operands(self, values: Sequence[Tensor]) -> None:
        for value, operand in zip(values, self.layout.operands, strict=True):
            held = self.layout.values(_as(value, self.dtype), operand)
            if operand.kind == "one":
                self._add(held, operand.run, operand.size)
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

    def sum(self, operand: Operand, like: Tensor) -> Tensor:
        layout = self.layout
        if operand.kind == "full":
            total = layout.empty(like, None, self.dtype)
        elif operand.kind == "row":
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
        streaming = whole and size >= STREAMING
        values = (*walk, at.elements, length, streaming, *self.entries)
        return (ctypes.c_int64 * len(values))(*values)


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    # PyTorch takes microseconds to find that there is nothing to do.
    return x if x.dtype == dtype else x.to(dtype)


def _layout(x: Tensor, values: Sequence[Tensor]) -> Layout:
    return layout_of(
        tuple(x.shape[1:]), x.stride()[1:], tuple(tuple(value.shape) for value in values)
    )


def _kernel(
    program: Program, functions: Functions, layout: Layout, wanted: tuple[bool, ...] | None
) -> team.Kernel:
    kinds = tuple(operand.kind for operand in layout.operands)
    key = ("cpu", wanted, kinds)
    if key not in program.kernels:
        with MAKING, making(program, "cpu"):
            if key not in program.kernels:
                program.kernels[key] = _compile(program, functions, kinds, wanted)
    kernel: team.Kernel = program.kernels[key]
    return kernel


def _compile(
    program: Program,
    functions: Functions,
    kinds: tuple[OperandKind, ...],
    wanted: tuple[bool, ...] | None,
) -> team.Kernel:
    write = cpu_source.forward if wanted is None else cpu_source.backward
    bits = 64 if program.dtype == torch.float64 else 32
    variant = hashlib.sha256(repr((wanted, kinds)).encode()).hexdigest()[:8]
    name = f"{program.key}_{write.__name__}_{variant}"
    return build.kernel(name, write.__name__, lambda: write(functions, bits, kinds))
