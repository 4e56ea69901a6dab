"""How many elements a thread has, and how many warps a program."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from neurodyn.files import cache_dir
from neurodyn.scan.gpu.cut import Cut
from neurodyn.scan.launch import Launch

WARP = 32
SEGMENT = 8
"""Steps of a segment. Shorter sequences are one segment, and need no checkpoints."""
VECTOR, WORD = 16, 4
"""Bytes that a thread loads at once: at most, and at least where it loads ahead."""
WARPS = 4
REGISTERS = 72
"""Registers of a thread for what a segment keeps. Addresses and arithmetic take about as many."""
SHARED = 72 << 10
"""Bytes of shared memory of a program: a multiprocessor has place for three such programs."""
LIMIT = 200 << 10
"""Bytes of shared memory of a program, at most."""
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
FILE = "gpu-sizes.json"
"""The file in the cache with sizes that were measured. `neurodyn bench gpu` writes such a file."""
_only: list[Sizes] = []


def key(backward: bool, states: int, looped: bool, itemsize: int) -> str:
    """What measured sizes are looked up by."""
    direction, length = "backward" if backward else "forward", "long" if looped else "short"
    return f"{direction}, {states} states, {length}, {itemsize} bytes"


@cache
def measured() -> dict[str, Sizes]:
    """The sizes in the cache. An entry that is none is an error that names the file."""
    path = cache_dir() / FILE
    if not path.is_file():
        return {}
    try:
        found = {name: Sizes(*pair) for name, pair in json.loads(path.read_text()).items()}
        good = all(s.each in (1, 2, 4, 8) and s.warps in (1, 2, 4, 8) for s in found.values())
    except (TypeError, ValueError, AttributeError):
        good = False
    if not good:
        raise ValueError(f"{path}: expected elements of a thread and warps, each 1, 2, 4 or 8")
    return found


@contextlib.contextmanager
def only(sizes: Sizes) -> Iterator[None]:
    """While this lasts, launches that are bound have these sizes, as far as their columns allow.

    Launches that were bound before are forgotten, at its beginning and at its end.
    """
    from neurodyn.scan.bind import bind_backward, bind_forward

    _only.append(sizes)
    try:
        for bound in (bind_forward, bind_backward):
            bound.cache_clear()
        yield
    finally:
        _only.remove(sizes)
        for bound in (bind_forward, bind_backward):
            bound.cache_clear()


def sizes_for(launch: Launch) -> Sizes:
    """The sizes for a launch's kernel: those that were measured, or those of the model."""
    if _only:
        return _only[-1]
    if interpreted():
        return INTERPRETED
    narrow, elements, wanted = launch.x.dtype.itemsize, launch.layout.elements, launch.wanted
    looped, states = launch.steps > launch.length, len(launch.program.trace.states)
    sizes = measured().get(key(wanted is not None, states, looped, narrow)) or modelled(launch)
    while sizes.each > fewest(launch) and elements < sizes.each * THREADS:
        sizes = Sizes(sizes.each // 2, sizes.warps)
    most = LIMIT // copied(launch)
    while sizes.warps > 1 and (elements < sizes.block * BUSY or sizes.block > most):
        sizes = sizes.halved()
    return sizes


def modelled(launch: Launch) -> Sizes:
    """The largest vectors for which a segment fits into registers and shared memory."""
    each = VECTOR // launch.x.dtype.itemsize
    while each > fewest(launch) and each * kept(launch) > REGISTERS:
        each //= 2
    sizes, most = Sizes(each, WARPS), SHARED // copied(launch)
    while sizes.warps > 1 and sizes.block > most:
        sizes = sizes.halved()
    return sizes


def fewest(launch: Launch) -> int:
    """Elements of a thread, at least. Less than `WORD` is not copied ahead into shared memory."""
    looped = launch.steps > launch.length
    return max(1, WORD // launch.x.dtype.itemsize) if looped else 1


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
