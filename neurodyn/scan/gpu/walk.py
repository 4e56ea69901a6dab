"""How a GPU kernel walks over a step, and what its source depends on.

The walk is that of `scan.layout`: a step is a number of *blocks*, and a column has the same
parameters in every block. Here a column is as wide as a Triton program has elements. A program
visits the blocks of its column that belong to its group:

    for column, group:          in parallel: a program
        load parameters
        for block of the group:
            for segment of time:
                load the sequences of all its steps; step by step

So parameters are loaded once, and a program writes one sum for each of them, however many blocks it
visits. All sizes follow from shapes and dtypes alone, so that sums are the same on any GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from neurodyn.scan.gpu.sizes import WARP, Sizes, interpreted, sizes_for
from neurodyn.scan.launch import Launch
from neurodyn.scan.layout import Operand

Kind = Literal["single", "one", "row", "full"]
"""That of an operand; a `single` is a number for all elements, and "one" a number for a column."""

PROGRAMS = 2048
"""Programs to aim at where blocks are many: several for every multiprocessor, so that none waits
long for the last."""
SUMMED = 8
"""Blocks of a group, at least, where a program writes rows of sums: they are float32."""
WASTE = 8
"""A column is narrowed while more than this part of its elements lies beyond the end of a run."""


@dataclass(frozen=True)
class Form:
    """What the source of a kernel depends on, besides the functions in it.

    Attributes:
        kinds: of the operands.
        length: steps of a segment.
        looped: whether there are several segments.
        tail: whether the last segment may be shorter.
        blocks: whether a program visits several blocks.
        masked: whether loads and stores are masked: a column may reach beyond the end of a run, or
            a segment beyond that of the sequence.
        dense: whether all sequences lie in memory as the layout does.
        finals, checkpoints: whether these are among the arguments.
    """

    kinds: tuple[Kind, ...]
    length: int
    looped: bool = True
    tail: bool = False
    blocks: bool = False
    masked: bool = True
    dense: bool = True
    finals: bool = True
    checkpoints: bool = True


@dataclass(frozen=True)
class Walk:
    """The programs of a launch.

    Attributes:
        sizes: of a program.
        pieces: columns of a run, within which operands of kind "one" are the same.
        columns, groups: how many programs there are along each.
    """

    sizes: Sizes
    pieces: int
    columns: int
    groups: int


class Bound(NamedTuple):
    """The arguments of a kernel that are not tensors.

    Attributes:
        grid: programs along columns and groups.
        numbers: those after each tensor: strides, runs and sizes.
        sizes: the last arguments that are not constant.
        constants: the constants, and the options of the compiler.
    """

    grid: tuple[int, int]
    numbers: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    constants: dict[str, Any]


def kind_of(operand: Operand) -> Kind:
    """How a kernel finds an operand."""
    return "single" if operand.kind == "one" and operand.size == 1 else operand.kind


@lru_cache(maxsize=8192)
def walk_of(launch: Launch) -> Walk:
    """The programs of a launch. Columns get narrower where runs are short."""
    layout, sizes = launch.layout, sizes_for(launch)
    while sizes.block > WARP and -layout.inner % sizes.block * WASTE > layout.inner:
        sizes = sizes.halved()
    pieces = -(-layout.inner // sizes.block)
    columns = layout.period // layout.inner * pieces
    groups = min(layout.outer, max(1, PROGRAMS // columns))
    if launch.wanted and any(operand.kind == "row" for operand in layout.operands):
        groups = min(groups, max(1, layout.outer // SUMMED))
    each = -(-layout.outer // groups)
    return Walk(sizes, pieces, columns, -(-layout.outer // each))


def form_of(launch: Launch) -> Form:
    """What the source of a launch's kernel depends on."""
    layout, steps, length = launch.layout, launch.steps, launch.length
    tail = steps % length != 0
    return Form(
        kinds=tuple(kind_of(operand) for operand in layout.operands),
        length=length,
        looped=steps > length,
        tail=tail,
        blocks=layout.outer > 1,
        masked=tail or layout.inner % walk_of(launch).sizes.block != 0,
        dense=all(_dense(launch, i) for i in _given(launch)),
        finals=launch.finals,
        checkpoints=launch.checkpoints,
    )


def bind(launch: Launch) -> Bound:
    """The arguments of a launch's kernel that are not tensors."""
    layout, walk, dense = launch.layout, walk_of(launch), form_of(launch).dense
    n, m = len(launch.program.trace.inputs), len(layout.operands)
    numbers: list[tuple[int, ...]] = [()] * len(launch.arguments)
    for i in () if dense else _given(launch):
        numbers[i] = launch.strides[i]
    for i, operand in zip(range(n, n + m), layout.operands, strict=True):
        numbers[i] = (operand.run, operand.size) if kind_of(operand) == "one" else ()
    constants: dict[str, Any] = {"BLOCK": walk.sizes.block, "EACH": walk.sizes.each}
    if not interpreted():
        # No fused multiply-add but those that the source has: backward has to decide as forward
        # did, to see the same spikes.
        constants |= {"num_warps": walk.sizes.warps, "enable_fp_fusion": False}
    sizes = (launch.steps, layout.elements, layout.period, layout.inner, walk.pieces, layout.outer)
    return Bound((walk.columns, walk.groups), tuple(numbers), sizes, constants)


def _given(launch: Launch) -> list[int]:
    """The places of the sequences and steps that were handed in, among the arguments."""
    trace, n = launch.program.trace, len(launch.program.trace.inputs)
    if not launch.wanted:
        return [*range(n)]
    grads = n + len(launch.layout.operands)
    last = grads + (len(trace.grads) if launch.finals else trace.n_outputs)
    return [*range(n), *range(grads, last)]


def _dense(launch: Launch, i: int) -> bool:
    """Whether a sequence, or the gradient of a final state, lies in memory as the layout does."""
    (time, block), layout, trace = launch.strides[i], launch.layout, launch.program.trace
    outputs = len(trace.inputs) + len(layout.operands) + trace.n_outputs
    in_time = launch.steps == 1 or i >= outputs or time == layout.elements
    return in_time and (layout.outer == 1 or block == layout.period)
