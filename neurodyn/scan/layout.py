"""How the elements of a step lie in memory, and how a kernel walks over them.

A step `(B, C, H, W)` is seen as `outer` blocks of `period` adjacent elements, in the order in which
they lie in memory (channels-last or not). A block is cut into *columns*. A column has the same
parameters in every block, so a kernel loads them once and then visits all blocks:

    for column:                 in parallel
        load parameters
        for block:
            for time:
                for element of the column: step

A parameter or an initial state is then one of three kinds:

    "one"     a single number for the whole column: layer parameters; channels, where feature maps
              are large enough for a column to lie within one
    "row"     a number for every element of a column: neuron parameters, small feature maps
    "full"    a number for every element of every block: a state that was handed in
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from torch import Tensor

OperandKind = Literal["one", "row", "full"]
Shape = tuple[int, ...]

WIDEST, NARROWEST = 1024, 512
"""Elements of a column: long enough rows for the memory to stream, short enough for the cache."""
DIFFERING = 2048
"""Most numbers in the rows of parameters that differ within a column. It gets narrower for them,
down to half of `NARROWEST`, as their rows and those of their gradients have to be in the cache."""
AT_ONCE, SHARING = (4, 2, 1), 8
"""Blocks that are visited at once there, so that what they share is read and written once: the
first that divides their number. And the fewest of a group, as a group prepares parameters and sums
their gradients."""
COLUMNS = 8
"""Columns get narrower, down to `NARROWEST`, until there are this many of them."""
LINE = 32
"""Numbers of two bytes in a line of the cache: columns end where lines do."""
SHORTEST_RUN = 256
"""Feature maps smaller than this share a column with their neighbours."""
TILE = 256
"""Blocks shorter than this are tiled into longer ones."""
TOGETHER, SHARED = 8, 4
"""Samples of a group that goes through time together: many share the reads of a matrix, but there
should be a few groups for the threads."""
TASKS = 64
"""Tasks to aim at; not the number of threads, so that sums are the same on any machine."""


@dataclass(frozen=True)
class Operand:
    """Where the values of a parameter or an initial state are.

    Attributes:
        kind: see the module.
        shape: its shape, with the step's number of dimensions.
        run: for "one", how many adjacent elements share a value.
        size: for "one", the number of values.
    """

    kind: OperandKind
    shape: Shape
    run: int = 1
    size: int = 1


@dataclass(frozen=True)
class Layout:
    """The walk over steps of one shape and one order in memory."""

    shape: Shape
    order: Shape
    """The step's dimensions from the slowest to the fastest in memory."""
    split: int
    """How many of them lie outside a block."""
    tile: int
    """Blocks that were tiled into one."""
    inner: int
    """A column stays within a run of this length."""
    width: int
    groups: int
    """Blocks are visited in this many groups, each a task of its own."""
    operands: tuple[Operand, ...]
    together: int = 1
    """Blocks that are visited at once."""

    @cached_property
    def sizes(self) -> Shape:
        return tuple(self.shape[d] for d in self.order)

    @cached_property
    def strides(self) -> Shape:
        return ordered_strides(self.shape, self.order)

    @cached_property
    def elements(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def period(self) -> int:
        return math.prod(self.sizes[self.split :]) * self.tile

    @cached_property
    def outer(self) -> int:
        return self.elements // self.period

    @cached_property
    def pieces(self) -> int:
        return -(-self.inner // self.width)

    @cached_property
    def columns(self) -> int:
        return self.period // self.inner * self.pieces

    @cached_property
    def tasks(self) -> int:
        return self.columns * self.groups

    def block_stride(self, strides: Shape) -> int | None:
        """The distance of blocks in a step with these strides; None if it has to be copied."""
        dense, block = 1, None
        boundary = 0 if self.tile > 1 else self.split
        for i in range(len(self.order) - 1, -1, -1):
            size, stride = self.sizes[i], strides[self.order[i]]
            if size == 1:
                continue
            if i < boundary and block is None:
                block = dense = stride
            if stride != dense:
                return None
            dense *= size
        return self.period if block is None else block

    def in_place(self, strides: Shape, operand: Operand) -> bool:
        """Whether a parameter or state with these strides has its `values` in memory already."""
        padded, dense = (0,) * (len(self.shape) - len(strides)) + tuple(strides), 1
        for d in reversed(self.order):
            if operand.shape[d] > 1 and padded[d] != dense:
                return False
            dense *= operand.shape[d]
        return (
            dense == {"one": operand.size, "row": self.period, "full": self.elements}[operand.kind]
        )

    def natural(self, operand: Operand) -> bool:
        """Whether an operand's values have the same order in memory as in its shape."""
        varying = [d for d in self.order if operand.shape[d] > 1]
        return varying == sorted(varying)

    def values(self, value: Tensor, operand: Operand) -> Tensor:
        """A parameter's or state's values, adjacent and in the order of memory."""
        if operand.kind == "one":
            return value.reshape(operand.shape).permute(self.order).contiguous()
        value = value.reshape(operand.shape)
        if operand.kind == "full":
            return value.expand(self.shape).permute(self.order).contiguous()
        inside = self.sizes[self.split :]
        value = value.permute(self.order).reshape(
            [value.shape[d] for d in self.order[self.split :]]
        )
        return value.expand(self.tile, *inside).contiguous()

    def shared(self, values: Tensor, operand: Operand) -> Tensor:
        """One number per element, in the order of memory, summed where elements share a value."""
        values = values.view(self.sizes).permute(
            [self.order.index(d) for d in range(len(self.order))]
        )
        return values.sum_to_size(operand.shape)

    def of_runs(self, runs: Tensor, operand: Operand) -> Tensor:
        """An operand of kind "one", from the sums of each run of elements."""
        values = runs.view(-1, operand.size, operand.run // self.inner).sum((0, 2))
        return self._shaped(values, operand)

    def of_rows(self, rows: Tensor, operand: Operand) -> Tensor:
        """An operand of kind "row", from sums for each element of a block, block after block."""
        values = rows.view(-1, *self.sizes[self.split :]).sum(0)
        shape = [operand.shape[d] for d in self.order[self.split :]]
        common = [i for i, size in enumerate(shape) if size == 1]
        return self._shaped(values.sum(common, keepdim=True) if common else values, operand)

    def _shaped(self, values: Tensor, operand: Operand) -> Tensor:
        """Values in the order of memory, in an operand's own order."""
        values = values.reshape([operand.shape[d] for d in self.order])
        return values.permute([self.order.index(d) for d in range(len(self.order))])


def ordered_strides(shape: Shape, order: Shape) -> Shape:
    """The strides of a step that lies densely in this order."""
    strides, dense = [0] * len(shape), 1
    for d in reversed(order):
        strides[d], dense = dense, dense * shape[d]
    return tuple(strides)


def memory_order(shape: Shape, strides: Shape) -> tuple[Shape, int]:
    """A step's dimensions from the slowest to the fastest, and where the dense ones begin.

    Dimensions of size 1 come first, so that the parameters of a batch of one are a row. Steps that
    no such order describes have to be copied; for them, the order of their shape is returned.
    """
    rank = len(shape)
    # Not `shape[d] != 1`: a compiler's symbolic sizes have truth values that are not ordered.
    order = tuple(sorted(range(rank), key=lambda d: (0 if shape[d] == 1 else 1, -strides[d], d)))
    boundary = _dense_from([shape[d] for d in order], [strides[d] for d in order])
    return (tuple(range(rank)), 0) if boundary is None else (order, boundary)


@lru_cache(maxsize=1024)
def layout_of(shape: Shape, strides: Shape, operands: tuple[Shape, ...]) -> Layout:
    """The layout for steps of this shape and these strides.

    Args:
        operands: the shapes of initial states and parameters; they broadcast to `shape`.
    """
    rank = len(shape)
    order, boundary = memory_order(shape, strides)
    sizes = [shape[d] for d in order]
    padded = [(1,) * (rank - len(s)) + s for s in operands]
    spans = [_span([s[d] for d in order]) for s in padded]

    inside = [first for first, _, _ in spans if first > 0 and first < rank]
    split = boundary or min(inside, default=0)

    placed: list[Operand] = []
    inner = period = math.prod(sizes[split:])
    for full_shape, (first, last, solid) in zip(padded, spans, strict=True):
        run = math.prod(sizes[last + 1 :])
        if first == rank:
            placed.append(Operand("one", full_shape, period))
        elif first < split or (first == 0 and split == 0 and run < SHORTEST_RUN):
            placed.append(Operand("full", full_shape))
        elif solid and run >= SHORTEST_RUN:
            placed.append(Operand("one", full_shape, run, math.prod(sizes[first : last + 1])))
            inner = min(inner, run)
        else:
            placed.append(Operand("row", full_shape))

    outer, tile = math.prod(sizes[:split]), 1
    if boundary == 0 and inner == period and period < TILE:
        tile = max(k for k in range(1, max(1, 4 * TILE // period) + 1) if outer % k == 0)
        inner, period = inner * tile, period * tile
        outer //= tile
        placed = [
            Operand(s.kind, s.shape, period if s.kind == "one" else s.run, s.size) for s in placed
        ]
    # Equal pieces: a remainder of a few elements would cost as much as a whole piece.
    if rows := sum(operand.kind == "row" for operand in placed):
        widest = min(NARROWEST, max(NARROWEST // 2, DIFFERING // rows))
    else:
        widest = min(WIDEST, max(NARROWEST, outer * period // COLUMNS))
    width = -(-inner // -(-inner // widest))
    if width < inner:
        width = -(-width // LINE) * LINE
    columns = period // inner * -(-inner // width)
    together = next(k for k in AT_ONCE if outer % k == 0) if rows else 1
    groups = min(max(1, outer // SHARING) if rows else outer, max(1, TASKS // columns))
    return Layout(shape, order, split, tile, inner, width, groups, tuple(placed), together)


@lru_cache(maxsize=1024)
def by_sample(shape: Shape, operands: tuple[Shape, ...]) -> Layout:
    """The layout for steps `(B, F)` whose neurons are coupled: a column is a sample, and a group
    of some samples is a task."""
    batch, features = shape
    placed = []
    for operand in operands:
        sizes = (1,) * (2 - len(operand)) + tuple(operand)
        kind: OperandKind = "full" if sizes[0] > 1 else "row" if sizes[1] > 1 else "one"
        placed.append(Operand(kind, sizes, features))
    size = min(max(batch // SHARED, 1), TOGETHER)
    groups = -(-batch // size)
    return Layout(shape, (0, 1), 1, 1, features, features, groups, tuple(placed))


def _dense_from(sizes: list[int], strides: list[int]) -> int | None:
    """Where the dense part begins; None if what lies outside has no single stride."""
    expected, boundary = 1, 0
    for i in range(len(sizes) - 1, -1, -1):
        if sizes[i] == 1:
            continue
        if strides[i] != expected:
            if boundary or strides[i] < expected:
                return None
            boundary, expected = i + 1, strides[i]
        expected *= sizes[i]
    return boundary if boundary < len(sizes) else None


def _span(sizes: list[int]) -> tuple[int, int, bool]:
    """First and last dimension along which a value varies, and whether all between do."""
    varying = [i for i, size in enumerate(sizes) if size > 1]
    if not varying:
        return len(sizes), len(sizes), True
    first, last = varying[0], varying[-1]
    return first, last, len(varying) == last - first + 1
