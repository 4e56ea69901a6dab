"""The GPU backend: prints, compiles and launches Triton kernels.

Storage is whatever the input has (float32, bfloat16, float16); states and arithmetic are float32.
With `TRITON_INTERPRET=1` in the environment, the kernels run on the CPU, slowly, for tests.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurodyn.scan.gpu.build import load_kernel
from neurodyn.scan.gpu.loops import print_backward, print_forward
from neurodyn.scan.layout import Layout, Operand, OperandKind, layout_of
from neurodyn.step.program import Program, making

WARPS = 4
FORWARD = 1024
"""Elements of a program in the forward pass: eight a thread, 16 bytes of half precision."""
SHORT, LONG = 4, 8
"""Steps of a segment: kept in registers at once in the backward pass."""
BACKWARD = 2048
"""Elements times steps of a segment of a program in the backward pass: what registers hold."""
STORED = (torch.float32, torch.bfloat16, torch.float16)


def interpreted() -> bool:
    """Whether Triton runs kernels on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def why_not(program: Program, device: str, stored: Sequence[torch.dtype]) -> str | None:
    """Why these kernels cannot run on inputs of that device and of those dtypes, or None."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if device != "cuda" and not interpreted():
        return f"x is on {device!r}, not on a GPU (TRITON_INTERPRET=1 would run it, slowly)"
    if program.dtype != torch.float32:
        return f"its states and arithmetic are float32, not {program.dtype}"
    if any(dtype not in STORED for dtype in stored):
        return f"it stores float32, bfloat16 or float16, not {stored[0]}"
    return None


def source(program: Program) -> str:
    """The source of both kernels, for parameters and states that are single numbers."""
    forward_functions, _ = program.functions(None)
    backward_functions, _ = program.functions((True,) * len(program.trace.vjp))
    n_states = len(program.trace.states)
    kinds: list[OperandKind] = ["one"] * (n_states + len(forward_functions.parameters))
    both: list[OperandKind] = ["one"] * (n_states + len(backward_functions.parameters))
    written = (
        print_forward(forward_functions, kinds),
        print_backward(backward_functions, both, LONG),
    )
    return "\n\n".join(written)


def segment(steps: int) -> int:
    """How many steps the backward kernel keeps at once."""
    return SHORT if steps <= SHORT else LONG


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
    x, steps = inputs[0], inputs[0].shape[0]
    length = segment(steps)
    launch = _Launch(program, x, values, FORWARD)
    layout = launch.layout
    keep = keep and steps > length
    for sequence in inputs:
        launch.sequence(sequence)
    launch.operands(values)
    outputs = [layout.empty(x, steps) for _ in range(program.trace.n_outputs)]
    finals = [layout.empty(x, None, torch.float32) for _ in states if final]
    segments = -(-steps // length)
    checkpoints = [layout.empty(x, segments, torch.float32) for _ in states] if keep else []
    unused = [x for _ in states]
    launch.add(*outputs, *(finals or unused), *(checkpoints or unused))
    kernel = _kernel(program, layout, ("gpu", None), lambda kinds: print_forward(functions, kinds))
    launch.run(kernel.forward, steps, LENGTH=length, KEEP=keep, FINAL=final)
    return [*outputs, *finals, *checkpoints]


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
    x, steps, n_outputs = inputs[0], inputs[0].shape[0], program.trace.n_outputs
    length = segment(steps)
    launch = _Launch(program, x, values, BACKWARD // length)
    layout = launch.layout
    for sequence in inputs:
        launch.sequence(sequence)
    for grad in grads[:n_outputs]:
        launch.sequence(torch.zeros_like(x) if grad is None else grad)
    launch.operands(values)
    finals = list(grads[n_outputs:])
    given = any(grad is not None for grad in finals)
    for i, grad in enumerate(finals):
        full = torch.zeros(layout.shape, device=x.device) if grad is None else grad
        finals[i] = layout.arrange(full[None])[0] if given else x
    launch.add(*finals, *(checkpoints or [x for _ in states]))
    result: list[Tensor | None] = [None] * len(functions.leaves)
    for i, leaf in enumerate(program.trace.inputs):
        if functions.gradient(leaf) is not None:
            result[i] = grad_x = layout.empty(x, steps, inputs[i].dtype)
            launch.add(grad_x)
    sums = []
    for i, operand in enumerate(layout.operands):
        index = len(inputs) + (i if i < len(states) else len(states) + used[i - len(states)])
        if i < len(states) or functions.gradient(functions.leaves[index]) is not None:
            size = launch.blocks if _single(operand) else layout.elements
            sums.append((index, values[i], operand, x.new_empty(size, dtype=torch.float32)))
            launch.add(sums[-1][-1])
    key = ("gpu", wanted, length)
    kernel = _kernel(program, layout, key, lambda kinds: print_backward(functions, kinds, length))
    launch.run(kernel.backward, steps, CHECKPOINTS=bool(checkpoints), FINALS=given)
    for index, value, operand, partial in sums:
        if wanted[index]:
            result[index] = _collect(layout, partial, operand).to(value.dtype).reshape(value.shape)
    return result


class _Launch:
    """Collects a kernel's arguments."""

    def __init__(self, program: Program, x: Tensor, values: Sequence[Tensor], block: int) -> None:
        self.program = program
        shapes = tuple(tuple(value.shape) for value in values)
        self.layout: Layout = layout_of(tuple(x.shape[1:]), x.stride()[1:], shapes)
        self.block, self.blocks = block, -(-self.layout.elements // block)
        self.arguments: list[Any] = []
        self.dense = True

    def sequence(self, x: Tensor) -> None:
        arranged, over_time, over_blocks = self.layout.arrange(x)
        self.dense = self.dense and (over_blocks == self.layout.period or self.layout.outer == 1)
        self.arguments += (arranged, over_time, over_blocks)

    def operands(self, values: Sequence[Tensor]) -> None:
        for value, operand in zip(values, self.layout.operands, strict=True):
            self.arguments += (self.layout.values(value, operand), operand.run, operand.size)

    def add(self, *tensors: Tensor | None) -> None:
        self.arguments += tensors

    def run(self, kernel: Any, steps: int, **constants: Any) -> None:
        size = (steps, self.layout.elements, self.layout.period)
        options = {} if interpreted() else {"num_warps": WARPS, "enable_fp_fusion": False}
        # No fused multiply-add: backward has to round as forward did, to see the same spikes.
        from triton.errors import TritonError

        # Triton compiles when a kernel is first launched.
        with making(self.program, "gpu", TritonError):
            kernel[(self.blocks,)](
                *self.arguments, *size, **constants, DENSE=self.dense, BLOCK=self.block, **options
            )


def _single(operand: Operand) -> bool:
    return operand.kind == "one" and operand.size == 1


def _collect(layout: Layout, partial: Tensor, operand: Operand) -> Tensor:
    """Sum a gradient over blocks, or over the elements that share a value, in a fixed order."""
    if _single(operand):
        return partial.sum()
    full = partial.view(layout.sizes)
    full = full.permute([layout.order.index(d) for d in range(len(layout.order))])
    return full.sum_to_size(operand.shape)


def _kernel(program: Program, layout: Layout, key: tuple[Any, ...], write: Any) -> Any:
    kinds = tuple(operand.kind for operand in layout.operands)
    if (*key, kinds) not in program.kernels:
        with making(program, "gpu"):
            program.kernels[(*key, kinds)] = load_kernel(program.name, write(kinds))
    return program.kernels[(*key, kinds)]
