"""Kernels of a filter over time, of every feature by itself: a delay line.

    filter    y[t] = sum_k taps[k] rows[t + K - 1 - k]
    weights   taps_grad[k] = sum_t grad[t] rows[t + K - 1 - k]

A step is a number of *tiles* that share the taps: samples, or some samples together if they are
short. Several steps are computed at once, so that each row is read once for all of them, and a
column of a tile is narrow enough for its rows to stay in the cache.
"""

from __future__ import annotations

from array import array
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
NAMES = (
    *("head", "head_stride", "tail", "tail_stride", "switch", "steps"),
    *("tiles", "width", "pieces", "column"),
    *("taps", "taps_stride", "taps_task", "other", "other_stride"),
)
"""The entries of the argument array."""
Kind = Literal["filter", "weights"]


class Rows(NamedTuple):
    """Rows of elements: the first `switch` in one tensor, and the others in a second one. A tensor
    of one row stands for any number of equal rows."""

    head: Tensor
    tail: Tensor
    switch: int


def filtered(rows: Rows, taps: Tensor, shape: torch.Size, *, mirrored: bool = False) -> Tensor:
    """`y` of shape `(T, B, *features)`, for `taps` of shape `(K, *features)`, lag 0 first; the last
    lag first if `mirrored`."""
    strides = ordered_strides(tuple(shape), tuple(range(len(shape))))
    out = memory.allocator(tuple(shape), strides, taps.dtype, taps.device)()
    tile = _tile(shape)
    _run("filter", rows, taps.flatten(1).repeat(1, tile) if tile > 1 else taps, out, mirrored)
    return out


def weights(rows: Rows, grad: Tensor, order: int) -> Tensor:
    """`taps_grad` of shape `(order, *features)`."""
    tile, features = _tile(grad.shape), grad.shape[2:]
    tasks = -(-grad.shape[1] // (tile * TILES))
    sums = grad.new_zeros(tasks, order, tile, features.numel())
    _run("weights", rows, sums, grad)
    return sums.sum((0, 2)).view(order, *features)


def _tile(shape: torch.Size) -> int:
    """Samples of a tile."""
    most = max(1, COLUMN // shape[2:].numel())
    return max(k for k in range(1, most + 1) if shape[1] % k == 0)


def _run(kind: Kind, rows: Rows, taps: Tensor, other: Tensor, mirrored: bool = False) -> None:
    tile, order = _tile(other.shape), taps.shape[0 if kind == "filter" else 1]
    taps, steps, work = taps.contiguous(), len(other), other.numel()
    width, size = tile * other.shape[2:].numel(), taps.element_size()
    tiles, pieces = other.shape[1] // tile, -(-width // COLUMN)
    column = -(-width // (pieces * LINE)) * LINE
    head, tail = ((t.data_ptr(), t.stride(0) if len(t) > 1 else 0) for t in rows[:2])
    last = (order - 1) * width if mirrored else 0
    given = array("q", (*head, *tail, rows.switch, steps, tiles, width, pieces, column))
    given.extend((taps.data_ptr() + last * size, -width if mirrored else width))
    given.extend((order * width if kind == "weights" else 0, other.data_ptr(), other.stride(0)))
    aligned = width * size % 64 == other.data_ptr() % 64 == 0
    streaming = kind == "filter" and work * size >= STREAMING and aligned
    kernel = _kernel(kind, order, 8 * size, streaming)
    threads.run(kernel, -(-tiles // TILES) * pieces, given.buffer_info()[0], work)


@cache
def _kernel(kind: Kind, order: int, bits: int, streaming: bool) -> build.Kernel:
    name = f"lags_{kind}_{order}_{bits}{'_streaming' if streaming else ''}"
    return build.kernel(name, kind, lambda: _source(kind, order, bits, streaming))


def _source(kind: Kind, order: int, bits: int, streaming: bool) -> str:
    kernel = begun(kind, bits, NAMES)
    code, at = kernel.code, kernel.at
    size, most = bits // 8, 512 // bits

    def row(name: str, i: Value | int, j: Value) -> Value:
        return at[name] + (at[f"{name}_stride"] * i + j) * size

    def place(i: Value, j: Value) -> Value:
        head, tail = row("head", i, j), row("tail", i - at["switch"], j)
        return code.where(i < at["switch"], head, tail)

    def several(t: Value, begin: Value, j: Value, steps: int, lanes: int) -> None:
        """Some steps of some elements of the tile that begins there."""
        place_of, own = begin + j, group * at["taps_task"] + j
        lines = [code.load(place(t + i, place_of), "real", lanes) for i in range(order - 1 + steps)]
        others = [row("other", t + i, place_of) for i in range(steps)]
        if kind == "filter":
            sums = [code.constant(0.0, "real", lanes) for _ in others]
        else:
            sums = [code.load(address, "real", lanes) for address in others]
        for k in range(order):
            tap = row("taps", k, own)
            value = code.load(tap, "real", lanes)
            for i in range(steps):
                line = lines[i + order - 1 - k]
                if kind == "filter":
                    sums[i] = sums[i] + value * line
                else:
                    value = value + sums[i] * line
            if kind == "weights":
                code.store(value, tap)
        if kind == "filter":
            for value, address in zip(sums, others, strict=True):
                code.store(value, address, streaming=streaming and lanes > 1)

    with code.exactly(False), code.range("task", kernel.first, kernel.last) as task:
        group, low = task // at["pieces"], task % at["pieces"] * at["column"]
        high, stop = low + at["column"], (group + 1) * TILES
        high = code.where(high < at["width"], high, at["width"])
        stop = code.where(stop < at["tiles"], stop, at["tiles"])
        whole = low + (high - low) // most * most
        long = at["steps"] // STEPS * STEPS
        for start, end, steps in ((code.integer(0), long, STEPS), (long, at["steps"], 1)):
            every, tiles = code.range("t", start, end, steps), (group * TILES, stop)
            with every as t, code.range("tile", *tiles) as tile:
                for some, rest, lanes in ((low, whole, most), (whole, high, 1)):
                    with code.range("j", some, rest, lanes) as j:
                        several(t, tile * at["width"], j, steps, lanes)
    return kernel.source(streaming=streaming)
