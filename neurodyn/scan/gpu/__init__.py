"""The GPU backend: kernels that Triton compiles.

Storage is whatever the input has (float32, bfloat16, float16); states and arithmetic are float32.
With `TRITON_INTERPRET=1` in the environment, the kernels run on the CPU, slowly, for tests.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurodyn.scan.gpu.backward import Backward
from neurodyn.scan.gpu.build import load_kernel
from neurodyn.scan.gpu.forward import Forward
from neurodyn.scan.gpu.sizes import SEGMENT, interpreted
from neurodyn.scan.gpu.walk import Form, Kind, bind, form_of, walk_of
from neurodyn.scan.launch import Backend, Launch, Start
from neurodyn.scan.layout import Operand
from neurodyn.step.program import Program

STORED = (torch.float32, torch.bfloat16, torch.float16)


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
        return min(steps, SEGMENT)

    def sums(self, launch: Launch, operand: Operand) -> tuple[int, torch.dtype]:
        walk, layout = walk_of(launch), launch.layout
        if operand.kind == "full":
            return layout.elements, torch.float32
        count = walk.columns if operand.kind == "one" else layout.period
        return walk.groups * count, torch.float32

    def total(self, launch: Launch, operand: Operand, sums: Tensor) -> Tensor:
        layout, walk = launch.layout, walk_of(launch)
        if operand.kind == "full":
            return layout.shared(sums, operand)
        if operand.kind == "one" and operand.size == 1:
            return sums.sum()
        if operand.kind == "one":
            runs = sums.view(walk.groups, -1, walk.pieces).sum((0, 2))
            return layout.of_runs(runs, operand)
        return layout.of_rows(sums, operand)

    def variant(self, launch: Launch) -> Form:
        return form_of(launch)

    def make(self, launch: Launch) -> Any:
        form, functions = form_of(launch), launch.functions
        kernel = Backward(functions, form) if launch.wanted else Forward(functions, form)
        return getattr(load_kernel(launch.program.name, kernel.text()), kernel.name)

    def start(self, launch: Launch, kernel: Any) -> Start:
        from triton.errors import TritonError

        bound = bind(launch)
        started = kernel[bound.grid]
        numbers, sizes, constants = bound.numbers, bound.sizes, bound.constants

        def run(tensors: Sequence[Tensor | None]) -> None:
            arguments: list[Any] = []
            # An argument that is absent is not one of the kernel's.
            for tensor, more in zip(tensors, numbers, strict=True):
                if tensor is not None:
                    arguments.append(tensor)
                    arguments += more
            try:
                started(*arguments, *sizes, **constants)
            except TritonError as error:  # Triton compiles when a kernel is first launched.
                raise launch.program.failed(self.name, error) from error

        return run

    def source(self, program: Program) -> str:
        texts = []
        for wanted in (None, (True,) * len(program.trace.vjp)):
            functions, used = program.functions(wanted)
            single: Kind = "single"
            kinds = (single,) * (len(program.trace.states) + len(used))
            make = Backward if wanted else Forward
            texts.append(make(functions, Form(kinds, SEGMENT)).text())
        return "\n\n".join(texts)
