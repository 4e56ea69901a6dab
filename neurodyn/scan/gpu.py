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

from neurodyn.scan.cache import load_kernel
from neurodyn.scan.gpu_source import print_backward, print_forward
from neurodyn.scan.layout import Layout, Static, StaticKind, plan_layout
from neurodyn.scan.plan import Plan, making

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


def why_not(plan: Plan, device: str, stored: Sequence[torch.dtype]) -> str | None:
    """Why these kernels cannot run on inputs of that device and of those dtypes, or None."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if device != "cuda" and not interpreted():
        return f"x is on {device!r}, not on a GPU (TRITON_INTERPRET=1 would run it, slowly)"
    if plan.dtype != torch.float32:
        return f"its states and arithmetic are float32, not {plan.dtype}"
    if any(dtype not in STORED for dtype in stored):
        return f"it stores float32, bfloat16 or float16, not {stored[0]}"
    return None


def source(plan: Plan) -> str:
    """The source of both kernels, for parameters and states that are single numbers."""
    forward_parts, _ = plan.parts(None)
    backward_parts, _ = plan.parts((True,) * len(plan.trace.vjp))
    n_states = len(plan.trace.states)
    kinds: list[StaticKind] = ["one"] * (n_states + len(forward_parts.parameters))
    both: list[StaticKind] = ["one"] * (n_states + len(backward_parts.parameters))
    return f"{print_forward(forward_parts, kinds)}\n\n{print_backward(backward_parts, both, LONG)}"


def segment(steps: int) -> int:
    """How many steps the backward kernel keeps at once."""
    return SHORT if steps <= SHORT else LONG


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
    x, steps = inputs[0], inputs[0].shape[0]
    length = segment(steps)
    launch = _Launch(plan, x, values, FORWARD)
    layout = launch.layout
    keep = keep and steps > length
    for sequence in inputs:
        launch.sequence(sequence)
    launch.statics(values)
    outputs = [layout.empty(x, steps) for _ in range(plan.trace.n_outputs)]
    finals = [layout.empty(x, None, torch.float32) for _ in states if final]
    segments = -(-steps // length)
    marks = [layout.empty(x, segments, torch.float32) for _ in states] if keep else []
    unused = [x for _ in states]
    launch.add(*outputs, *(finals or unused), *(marks or unused))
    kernel = _kernel(plan, layout, ("gpu", None), lambda kinds: print_forward(parts, kinds))
    launch.run(kernel.forward, steps, LENGTH=length, KEEP=keep, FINAL=final)
    return [*outputs, *finals, *marks]


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
    x, steps, n_outputs = inputs[0], inputs[0].shape[0], plan.trace.n_outputs
    length = segment(steps)
    launch = _Launch(plan, x, values, BACKWARD // length)
    layout = launch.layout
    for sequence in inputs:
        launch.sequence(sequence)
    for grad in grads[:n_outputs]:
        launch.sequence(torch.zeros_like(x) if grad is None else grad)
    launch.statics(values)
    finals = list(grads[n_outputs:])
    given = any(grad is not None for grad in finals)
    for i, grad in enumerate(finals):
        full = torch.zeros(layout.shape, device=x.device) if grad is None else grad
        finals[i] = layout.arrange(full[None])[0] if given else x
    launch.add(*finals, *(marks or [x for _ in states]))
    result: list[Tensor | None] = [None] * len(parts.leaves)
    for i, leaf in enumerate(plan.trace.inputs):
        if parts.gradient(leaf) is not None:
            result[i] = grad_x = layout.empty(x, steps, inputs[i].dtype)
            launch.add(grad_x)
    sums = []
    for i, static in enumerate(layout.statics):
        index = len(inputs) + (i if i < len(states) else len(states) + used[i - len(states)])
        if i < len(states) or parts.gradient(parts.leaves[index]) is not None:
            size = launch.blocks if _single(static) else layout.elements
            sums.append((index, values[i], static, x.new_empty(size, dtype=torch.float32)))
            launch.add(sums[-1][-1])
    key = ("gpu", wanted, length)
    kernel = _kernel(plan, layout, key, lambda kinds: print_backward(parts, kinds, length))
    launch.run(kernel.backward, steps, MARKS=bool(marks), FINALS=given)
    for index, value, static, partial in sums:
        if wanted[index]:
            result[index] = _collect(layout, partial, static).to(value.dtype).reshape(value.shape)
    return result


class _Launch:
    """Collects a kernel's arguments."""

    def __init__(self, plan: Plan, x: Tensor, values: Sequence[Tensor], block: int) -> None:
        self.plan = plan
        shapes = tuple(tuple(value.shape) for value in values)
        self.layout: Layout = plan_layout(tuple(x.shape[1:]), x.stride()[1:], shapes)
        self.block, self.blocks = block, -(-self.layout.elements // block)
        self.arguments: list[Any] = []
        self.dense = True

    def sequence(self, x: Tensor) -> None:
        arranged, over_time, over_blocks = self.layout.arrange(x)
        self.dense = self.dense and (over_blocks == self.layout.period or self.layout.outer == 1)
        self.arguments += (arranged, over_time, over_blocks)

    def statics(self, values: Sequence[Tensor]) -> None:
        for value, static in zip(values, self.layout.statics, strict=True):
            self.arguments += (self.layout.values(value, static), static.run, static.size)

    def add(self, *tensors: Tensor | None) -> None:
        self.arguments += tensors

    def run(self, kernel: Any, steps: int, **constants: Any) -> None:
        size = (steps, self.layout.elements, self.layout.period)
        options = {} if interpreted() else {"num_warps": WARPS, "enable_fp_fusion": False}
        # No fused multiply-add: backward has to round as forward did, to see the same spikes.
        from triton.errors import TritonError

        # Triton compiles when a kernel is first launched.
        with making(self.plan, "gpu", TritonError):
            kernel[(self.blocks,)](
                *self.arguments, *size, **constants, DENSE=self.dense, BLOCK=self.block, **options
            )


def _single(static: Static) -> bool:
    return static.kind == "one" and static.size == 1


def _collect(layout: Layout, partial: Tensor, static: Static) -> Tensor:
    """Sum a gradient over blocks, or over the elements that share a value, in a fixed order."""
    if _single(static):
        return partial.sum()
    full = partial.view(layout.sizes)
    full = full.permute([layout.order.index(d) for d in range(len(layout.order))])
    return full.sum_to_size(static.shape)


def _kernel(plan: Plan, layout: Layout, key: tuple[Any, ...], write: Any) -> Any:
    kinds = tuple(static.kind for static in layout.statics)
    if (*key, kinds) not in plan.kernels:
        with making(plan, "gpu"):
            plan.kernels[(*key, kinds)] = load_kernel(plan.name, write(kinds))
    return plan.kernels[(*key, kinds)]
