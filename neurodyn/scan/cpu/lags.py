"""Kernels of a filter over time, of every feature by itself: a delay line.

    filter    y[t] = added[t] + sum_k taps[k] rows[t + K - 1 - k]
    weights   taps_grad[k] = sum_t grad[t] rows[t + K - 1 - k]

Both are *sums*, and a kernel computes one, or both with one walk over memory. A step is a number of
*tiles* that share the taps: samples, or some samples together if they are short. Several steps are
computed at once, so that each row is read once for all of them, and a column of a tile is narrow
enough for its rows to stay in the cache. The rows of the next tile are prefetched.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from neurodyn.scan import memory
from neurodyn.scan.cpu import STREAMING, build, threads
from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.plain import begun
from neurodyn.scan.layout import LINE, ordered_strides

COLUMN, STEPS = 256, 8
"""Most elements of a column, and steps that are computed at once."""
TILES = 8
"""Tiles of a task, which sums the gradients of taps over them in the sequence's dtype."""
SHARED = ("steps", "tiles", "width", "pieces", "column")
OWN = (
    *("head", "head_stride", "tail", "tail_stride", "switch"),
    *("taps", "taps_stride", "taps_task", "other", "other_stride", "added", "added_stride"),
)
"""The entries of the argument array: those of all sums, and those of each."""
Kind = Literal["filter", "added", "weights"]
"""`added` is a filter that something is added to."""


class Rows(NamedTuple):
    """Rows of elements: the first `switch` in one tensor, and the others in a second one. A tensor
    of one row stands for any number of equal rows."""

    head: Tensor
    tail: Tensor
    switch: int


class Sum(NamedTuple):
    """A sum over lags.

    Attributes:
        kind: which one.
        rows: what is multiplied.
        taps: `(K, width)`, lag 0 first; for `weights` `(tasks, K, width)`, which it writes.
        other: `y`, which a filter writes, or `grad`.
        added: a sequence like `y`.
        mirrored: the last lag first.
    """

    kind: Kind
    rows: Rows
    taps: Tensor
    other: Tensor
    added: Tensor | None = None
    mirrored: bool = False

    def entries(self, width: int) -> list[int]:
        """Its part of the argument array."""
        head, tail = ((t.data_ptr(), t.stride(0) if len(t) > 1 else 0) for t in self.rows[:2])
        order, taps, other, added = self.taps.shape[-2], self.taps, self.other, self.added
        start = taps.data_ptr() + (self.mirrored and (order - 1) * width * taps.element_size())
        return [
            *(*head, *tail, self.rows.switch, start, -width if self.mirrored else width),
            *(order * width if self.kind == "weights" else 0, other.data_ptr(), other.stride(0)),
            *((0, 0) if added is None else (added.data_ptr(), added.stride(0))),
        ]


class Places(NamedTuple):
    """Where the rows of some steps of a sum begin; of taps, the one of each lag."""

    lines: list[Value]
    taps: list[Value]
    others: list[Value]
    added: list[Value]


def filtered(rows: Rows, taps: Tensor, shape: torch.Size) -> Tensor:
    """`y` of shape `(T, B, *features)`, for `taps` of shape `(K, *features)`, lag 0 first."""
    y = _like(shape, taps)
    _run([Sum("filter", rows, _tiled(taps, shape), y)])
    return y


def gradients(
    rows: Rows, taps: Tensor, grad: Tensor, added: Tensor | None, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of a filter's sequence, with `added` to it, and of its taps.

    Args:
        rows: the filter's rows.
        taps: its taps.
        grad: the gradient of its result.
        added: what is added to the gradient of the sequence.
        wanted: which of the two gradients are computed.
    """
    sums, x, parts = [], None, None
    if wanted[0]:
        # Back in time: the same filter, mirrored, with zeros behind the end.
        x = _like(grad.shape, taps)
        ahead = Rows(grad, grad.new_zeros(1, *grad.shape[1:]), len(grad))
        kind: Kind = "filter" if added is None else "added"
        sums.append(Sum(kind, ahead, _tiled(taps, grad.shape), x, added, mirrored=True))
    if wanted[1]:
        tile = _tile(grad.shape)
        tasks, width = -(-grad.shape[1] // (tile * TILES)), tile * grad.shape[2:].numel()
        parts = grad.new_zeros(tasks, len(taps), width)
        sums.append(Sum("weights", rows, parts, grad))
    _run(sums)
    if parts is not None:
        parts = parts.view(tasks, len(taps), tile, -1).sum((0, 2)).view(taps.shape)
    return x, parts


def _like(shape: torch.Size, taps: Tensor) -> Tensor:
    strides = ordered_strides(tuple(shape), tuple(range(len(shape))))
    return memory.allocator(tuple(shape), strides, taps.dtype, taps.device)()


def _tiled(taps: Tensor, shape: torch.Size) -> Tensor:
    """The taps of a tile."""
    tile = _tile(shape)
    return taps.flatten(1).repeat(1, tile) if tile > 1 else taps.flatten(1).contiguous()


def _tile(shape: torch.Size) -> int:
    """Samples of a tile."""
    most = max(1, COLUMN // shape[2:].numel())
    return max(k for k in range(1, most + 1) if shape[1] % k == 0)


def _run(sums: Sequence[Sum]) -> None:
    sequence, taps = sums[0].other, sums[0].taps
    order, width = taps.shape[-2:]
    steps, work, size = len(sequence), sequence.numel(), taps.element_size()
    tiles, pieces = work // (steps * width), -(-width // COLUMN)
    column = -(-width // (pieces * LINE)) * LINE
    given = array("q", (steps, tiles, width, pieces, column))
    for one in sums:
        given.extend(one.entries(width))
    aligned = width * size % 64 == sequence.data_ptr() % 64 == 0
    kinds = tuple(one.kind for one in sums)
    streaming = kinds[0] != "weights" and work * size >= STREAMING and aligned
    kernel = _kernel(kinds, order, 8 * size, streaming)
    threads.run(kernel, -(-tiles // TILES) * pieces, given.buffer_info()[0], work)


@cache
def _kernel(kinds: tuple[Kind, ...], order: int, bits: int, streaming: bool) -> build.Kernel:
    name = "_".join(kinds)
    longer = f"lags_{name}_{order}_{bits}{'_streaming' if streaming else ''}"
    return build.kernel(longer, name, lambda: _source(name, kinds, order, bits, streaming))


def _source(called: str, kinds: tuple[Kind, ...], order: int, bits: int, streaming: bool) -> str:
    names = [f"{name}{i}" for i in range(len(kinds)) for name in OWN]
    kernel = begun(called, bits, [*SHARED, *names])
    code, at = kernel.code, kernel.at
    size, most = bits // 8, 512 // bits

    def places(n: int, t: Value, begin: Value, steps: int) -> Places:
        """Where the rows of the `n`-th sum begin, for some steps of the tile that begins there."""
        own = {name: at[f"{name}{n}"] for name in OWN}

        def row(name: str, i: Value) -> Value:
            return own[name] + (own[f"{name}_stride"] * i + begin) * size

        def line(i: Value) -> Value:
            return code.where(i < own["switch"], row("head", i), row("tail", i - own["switch"]))

        apart = group * own["taps_task"]
        return Places(
            lines=[line(t + i) for i in range(order - 1 + steps)],
            taps=[own["taps"] + (own["taps_stride"] * k + apart) * size for k in range(order)],
            others=[row("other", t + i) for i in range(steps)],
            added=[row("added", t + i) for i in range(steps if kinds[n] == "added" else 0)],
        )

    def several(kind: Kind, at: Places, j: Value, lanes: int) -> None:
        """Some elements of these rows."""

        def load(address: Value) -> Value:
            return code.load(address + j * size, "real", lanes)

        lines = [load(address) for address in at.lines]
        start = {"filter": (), "added": at.added, "weights": at.others}[kind]
        sums = [load(address) for address in start]
        sums = sums or [code.constant(0.0, "real", lanes)] * len(at.others)
        for k, tap in enumerate(at.taps):
            value = load(tap)
            for i, line in enumerate(lines[order - 1 - k :][: len(sums)]):
                if kind == "weights":
                    value = value + sums[i] * line
                else:
                    sums[i] = sums[i] + value * line
            if kind == "weights":
                code.store(value, tap + j * size)
        for value, address in zip(sums, at.others, strict=True):
            if kind != "weights":
                code.store(value, address + j * size, streaming=streaming and lanes > 1)

    with code.exactly(False), code.range("task", kernel.first, kernel.last) as task:
        group, low = task // at["pieces"], task % at["pieces"] * at["column"]
        high, first, stop = low + at["column"], group * TILES, (group + 1) * TILES
        high = code.where(high < at["width"], high, at["width"])
        stop = code.where(stop < at["tiles"], stop, at["tiles"])
        whole = low + (high - low) // most * most
        long = at["steps"] // STEPS * STEPS
        for start, end, steps in ((code.integer(0), long, STEPS), (long, at["steps"], 1)):
            every = code.range("t", start, end, steps)
            with every as t, code.range("tile", first, stop) as tile:
                more = tile + 1 < stop
                next_t = code.where(more, t, t + steps)
                next_tile = code.where(more, tile + 1, first)
                for n, kind in enumerate(kinds):
                    rows = places(n, t, tile * at["width"], steps)
                    following = places(n, next_t, next_tile * at["width"], steps)
                    # The rows that were not read for the steps before.
                    ahead = [*following.lines[order - 1 :], *following.added]
                    for some, rest, lanes in ((low, whole, most), (whole, high, 1)):
                        with code.range("j", some, rest, lanes) as j:
                            for address in ahead if lanes > 1 else ():
                                code.prefetch(address + j * size)
                            several(kind, rows, j, lanes)
    return kernel.source(streaming=streaming)
