"""The CPU backend: kernels that LLVM compiles, started in threads."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from neurodyn.scan.cpu import build, source, threads
from neurodyn.scan.cpu.loops import HEADER
from neurodyn.scan.cpu.rows import NARROW
from neurodyn.scan.launch import Backend, Launch, Start
from neurodyn.scan.layout import LINE, Operand, OperandKind
from neurodyn.scan.links import Links
from neurodyn.step.program import Program

SEGMENT = 16
"""Steps whose states and inputs a thread keeps in its cache in the backward pass."""
STREAMING = 1 << 22
"""Outputs of this many bytes are written past the cache, which could not keep them for a reader."""
WIDTHS = {torch.float32: 32, torch.float64: 64}
Variant = tuple[tuple[OperandKind, ...], tuple[str, ...], Links, int]
"""How operands are found; the kinds of all numbers in memory, unless all are reals; links; and the
blocks that are visited at once."""


class Target(Backend):
    """Kernels compute in float32 or float64; those of float32 read and write narrower tensors."""

    name = "cpu"

    def why_not(self, program: Program, device: str, dtypes: Sequence[torch.dtype]) -> str | None:
        if device != "cpu":
            return f"x is on {device!r}, not on the CPU"
        if program.dtype not in WIDTHS:
            return f"it computes in float32 or float64, not in {program.dtype}"
        return None

    def stored(self, program: Program, dtype: torch.dtype) -> torch.dtype:
        narrow = dtype in NARROW and program.dtype == torch.float32
        return dtype if narrow else program.dtype

    def segment(self, steps: int) -> int:
        return min(steps, SEGMENT)

    def sums(self, launch: Launch, operand: Operand) -> tuple[int, torch.dtype]:
        layout = launch.layout
        if operand.kind == "full":
            return layout.elements, launch.program.dtype
        tasks = layout.tasks if operand.kind == "one" else layout.groups * layout.period
        return tasks, torch.float64

    def total(self, launch: Launch, operand: Operand, sums: Tensor) -> Tensor:
        layout = launch.layout
        if operand.kind == "full":
            return layout.shared(sums, operand)
        if operand.kind == "one" and operand.size == 1:
            return sums.sum(0, keepdim=True)
        if operand.kind == "one":
            runs = sums.view(-1, layout.pieces * layout.groups).sum(1)
            return layout.of_runs(runs, operand)
        return layout.of_rows(sums, operand)

    def variant(self, launch: Launch) -> Variant:
        kinds = tuple(operand.kind for operand in launch.layout.operands)
        stored = tuple(NARROW.get(dtype, "real") for dtype in launch.dtypes)
        stored = stored if {*stored} != {"real"} else ()
        return kinds, stored, launch.links, launch.layout.together

    def make(self, launch: Launch) -> build.Kernel:
        program, how = launch.program, self.variant(launch)
        write = source.backward if launch.wanted else source.forward
        variant = hashlib.sha256(repr((launch.wanted, how)).encode()).hexdigest()[:8]
        return build.kernel(
            f"{program.key}_{write.__name__}_{variant}",
            write.__name__,
            lambda: write(launch.functions, WIDTHS[program.dtype], *how),
        )

    def start(self, launch: Launch, kernel: build.Kernel) -> Start:
        layout, steps = launch.layout, launch.steps
        work, places = steps * layout.elements, slice(len(HEADER), None, 3)
        sizes = layout.elements, layout.period, layout.inner, layout.width
        large = work * launch.stored(launch.x.dtype).itemsize >= STREAMING
        large &= not launch.links.fed  # What a coupled step writes is read again soon.
        walk = {name: getattr(layout, name) for name in HEADER if hasattr(layout, name)}
        walk |= {"steps": steps, "length": launch.length}
        walk["streaming"] = large and not any(size % LINE for size in sizes)
        filled = array("q", [walk[name] for name in HEADER])
        for strides in launch.strides:
            filled.extend((0, *strides))

        def run(tensors: Sequence[Tensor | None]) -> None:
            arguments = filled[:]
            arguments[places] = array("q", [0 if t is None else t.data_ptr() for t in tensors])
            threads.run(kernel, layout.tasks, arguments.buffer_info()[0], work)

        return run

    def source(self, program: Program) -> str:
        bits, n_states = WIDTHS[program.dtype], len(program.trace.states)
        texts = []
        for wanted in (None, (True,) * len(program.trace.vjp)):
            functions, used = program.functions(wanted)
            write = source.backward if wanted else source.forward
            texts.append(write(functions, bits, ["one"] * (n_states + len(used))))
        return "\n\n".join(texts)
