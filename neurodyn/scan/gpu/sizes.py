"""How many elements a thread has, and how many warps a program."""

from __future__ import annotations

import os
from dataclasses import dataclass

from neurodyn.scan.gpu.cut import Cut
from neurodyn.scan.launch import Launch

WARP = 32
VECTOR = 16
"""Bytes that a thread loads at once, at most."""
WARPS = 4
REGISTERS = 72
"""Registers of a thread for what a segment keeps. Addresses and arithmetic take about as many."""
SHARED = 72 << 10
"""Bytes of shared memory of a program: a multiprocessor has place for three such programs."""
AHEAD = 2
"""Segments in shared memory: the one that is computed, and the next."""
THREADS = 1 << 16
"""Threads that keep a chip busy: where elements are few, each has fewer."""
BUSY = 264
"""Programs that keep a chip busy, two for a multiprocessor."""


@dataclass(frozen=True)
class Sizes:
    """Elements of a thread, which it loads and stores at once, and warps of a program."""

    each: int
    warps: int

    @property
    def block(self) -> int:
        """Elements of a program."""
        return self.each * self.warps * WARP

    def halved(self) -> Sizes:
        """A program of half as many elements."""
        if self.warps > 1:
            return Sizes(self.each, self.warps // 2)
        return Sizes(self.each // 2, 1)


def interpreted() -> bool:
    """Whether Triton runs kernels on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


INTERPRETED = Sizes(4, 8)
"""There each program costs the same, so they are large."""


def sizes_for(launch: Launch) -> Sizes:
    """The sizes for a launch's kernel."""
    if interpreted():
        return INTERPRETED
    narrow, elements = launch.x.dtype.itemsize, launch.layout.elements
    each = VECTOR // narrow
    while each > 1 and (each * kept(launch) > REGISTERS or elements < each * THREADS):
        each //= 2
    sizes, most = Sizes(each, WARPS), SHARED // copied(launch)
    while sizes.warps > 1 and (elements < sizes.block * BUSY or sizes.block > most):
        sizes = sizes.halved()
    return sizes


def kept(launch: Launch) -> float:
    """Registers that an element's part of a segment takes."""
    trace, length = launch.program.trace, launch.length
    narrow: float = launch.x.dtype.itemsize / 4
    varying = sum(operand.kind != "one" for operand in launch.layout.operands)
    if launch.wanted is None:
        return varying + len(trace.states) + length * narrow * len(trace.inputs)
    return 2 * varying + length * (Cut(launch.functions).kept + narrow * trace.n_outputs)


def copied(launch: Launch) -> int:
    """Bytes of shared memory that an element takes, where there are several segments."""
    trace, wanted = launch.program.trace, launch.wanted is not None
    over_time = len(trace.inputs) + wanted * trace.n_outputs
    segment: int = launch.length * launch.x.dtype.itemsize * over_time + wanted * 4 * len(
        trace.states
    )
    return AHEAD * segment
