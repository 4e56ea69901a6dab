"""The GPU backend: kernels that Triton compiles.

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
from neurodyn.scan.launch import Backend, Launch, Start
from neurodyn.scan.layout import Layout, Operand, OperandKind
from neurodyn.step.program import Program

WARPS = 4
FORWARD = 1024
"""Elements of a program in the forward pass: eight per thread, 16 bytes of half precision."""
SHORT, LONG = 4, 8
"""Steps of a segment, which registers hold in the backward pass; `SHORT` for short sequences."""
BACKWARD = 2048
"""Elements of a program times steps of a segment in the backward pass; registers hold these."""
STORED = (torch.float32, torch.bfloat16, torch.float16)


def interpreted() -> bool:
    """Whether Triton runs kernels on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


class Target(Backend):
    """Kernels read and write tensors in their own dtypes; each Triton program has some elements."""

    name = "gpu"

    def why_not(self, program: Program, device: str, dtypes: Sequence[torch.dtype]) -> str | None:
        if importlib.util.find_spec("triton") is None:
            return "Triton is not installed"
        if device != "cuda" and not interpreted():
            return f"x is on {device!r}, not on a GPU (TRITON_INTERPRET=1 would run it, slowly)"
        if program.dtype != torch.float32:
            return f"its states and arithmetic are float32, not {program.dtype}"
        if any(dtype not in STORED for dtype in dtypes):
            return f"it stores float32, bfloat16 or float16, not {dtypes[0]}"
        return None

    def stored(self, program: Program, dtype: torch.dtype) -> torch.dtype:
        return dtype

    def segment(self, steps: int) -> int:
        return SHORT if steps <= SHORT else LONG

    def sums(self, launch: Launch, operand: Operand) -> tuple[int, torch.dtype]:
        elements = launch.layout.elements
        return -(-elements // _block(launch)) if _single(operand) else elements, torch.float32

    def total(self, layout: Layout, operand: Operand, sums: Tensor) -> Tensor:
        return sums.sum() if _single(operand) else layout.shared(sums, operand)

    def variant(self, launch: Launch) -> tuple[int, tuple[OperandKind, ...]]:
        return launch.length, tuple(operand.kind for operand in launch.layout.operands)

    def make(self, launch: Launch) -> Any:
        (length, kinds), functions = self.variant(launch), launch.functions
        if launch.wanted:
            text = print_backward(functions, kinds, length)
            return load_kernel(launch.program.name, text).backward
        return load_kernel(launch.program.name, print_forward(functions, kinds)).forward

    def start(self, launch: Launch, kernel: Any) -> Start:
        from triton.errors import TritonError

        layout, trace, block = launch.layout, launch.program.trace, _block(launch)
        n, m = len(trace.inputs), len(layout.operands)
        given = n + m + (trace.n_outputs if launch.wanted else 0)
        sequences = [*launch.strides[:n], *launch.strides[n + m : given]]
        strides = [*launch.strides]
        strides[n : n + m] = [(operand.run, operand.size) for operand in layout.operands]
        grid = (-(-layout.elements // block),)
        sizes = launch.steps, layout.elements, layout.period
        constants: dict[str, Any] = {
            "BLOCK": block,
            "DENSE": layout.outer == 1 or all(over == layout.period for _, over in sequences),
        }
        if launch.wanted:
            constants |= {"CHECKPOINTS": launch.checkpoints, "FINALS": launch.finals}
        else:
            keep, final = launch.checkpoints, launch.finals
            constants |= {"LENGTH": launch.length, "KEEP": keep, "FINAL": final}
        if not interpreted():
            # No fused multiply-add: backward has to round as forward did, to see the same spikes.
            constants |= {"num_warps": WARPS, "enable_fp_fusion": False}

        def run(tensors: Sequence[Tensor | None]) -> None:
            arguments: list[Any] = []
            for i, tensor in enumerate(tensors):
                # Triton needs an address for an absent argument too; nothing is read there.
                arguments.append(tensors[0] if tensor is None else tensor)
                if i < given:
                    arguments += strides[i]
            try:
                kernel[grid](*arguments, *sizes, **constants)
            except TritonError as error:  # Triton compiles when a kernel is first launched.
                raise launch.program.failed(self.name, error) from error

        return run

    def source(self, program: Program) -> str:
        n_states = len(program.trace.states)
        forward, used = program.functions(None)
        backward, needed = program.functions((True,) * len(program.trace.vjp))
        first = print_forward(forward, ["one"] * (n_states + len(used)))
        return f"{first}\n\n{print_backward(backward, ['one'] * (n_states + len(needed)), LONG)}"


def _block(launch: Launch) -> int:
    """Elements of a program."""
    return BACKWARD // launch.length if launch.wanted else FORWARD


def _single(operand: Operand) -> bool:
    return operand.kind == "one" and operand.size == 1
