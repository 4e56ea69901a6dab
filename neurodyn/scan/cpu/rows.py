"""Rows: adjacent numbers in memory, which may be narrower than those of the arithmetic.

Sequences in bfloat16 or float16 are read and written as they are; arithmetic, states and
checkpoints are float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from neurodyn.scan.cpu.llvm import Value

NARROW = {torch.bfloat16: "brain", torch.float16: "half"}
"""The kinds of numbers in memory that are narrower than float32; bfloat16 is half a float32."""

AHEAD = 3
"""Rows are prefetched so many rows before they are read: one row takes less time than memory does
to answer."""


class Place(Value):
    """Where in a row a loop is, and in which of the blocks that it visits at once."""

    def __init__(self, j: Value, part: int) -> None:
        super().__init__(j.code, j.ir, j.kind)
        self.part = part


def part_of(j: Value) -> int:
    """Which of the blocks at once it is; the first where only one is visited."""
    return j.part if isinstance(j, Place) else 0


@dataclass(frozen=True)
class Row:
    """Where a row begins, and the kind of its numbers.

    `apart` is the distance in bytes to the same row of the next block; None if blocks share it.

    Rows that are read together may lie side by side: the numbers of all rows for the first turn of
    the loop, then those for the second turn, and so on. A turn then reads one place in memory,
    however many rows there are. `place` says which of the `several` rows this one is.
    """

    address: Value
    kind: str = "real"
    apart: Value | None = None
    place: int = 0
    several: int = 1

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return self.address.code.size(self.kind)

    def after(self, count: Value) -> Row:
        """The row that begins so many numbers later."""
        return replace(self, address=self.address + count * (self.size * self.several))

    def beside(self, several: int) -> list[Row]:
        """This row and those behind it, `several` in all, as rows that lie side by side."""
        apart = None if self.apart is None else self.apart * several
        return [replace(self, apart=apart, place=k, several=several) for k in range(several)]

    def at(self, j: Value, lanes: int) -> Value:
        """The address of the `j`-th number, in a loop that takes so many at once."""
        address, part = self.address + j * (self.size * self.several), part_of(j)
        if self.place:
            address = address + self.place * lanes * self.size
        return address if self.apart is None or part == 0 else address + self.apart * part

    def load(self, j: Value, lanes: int) -> Value:
        """Numbers from the `j`-th on, as reals."""
        return widened(j.code.load(self.at(j, lanes), self.kind, lanes))

    def store(self, value: Value, j: Value, lanes: int, *, streaming: bool = False) -> None:
        """Write reals, from the `j`-th number on; `streaming` as for `Code.store`."""
        code = j.code
        value = narrowed(code.repeated(value, lanes), self.kind)
        code.store(value, self.at(j, lanes), streaming=streaming)


@dataclass(frozen=True)
class Tensor:
    """Where a tensor is: the row at its address, and its strides over time and blocks.

    A parameter of kind "one" has, instead of strides, the number of elements that share a value and
    the number of values.
    """

    row: Row
    time: Value
    block: Value


def widened(value: Value) -> Value:
    """A narrow number as a real, exactly."""
    code = value.code
    if value.kind == "real":
        return value
    if value.kind == "half":
        wide = code.builder.fpext(value.ir, code.type("real", value.lanes), code.hint)
        return Value(code, wide, "real")
    # The first half of a float32.
    whole = code.builder.zext(value.ir, code.type("word", value.lanes))
    return code.bitcast(Value(code, whole, "word") << 16, "real")


def narrowed(value: Value, kind: str) -> Value:
    """The nearest number of that kind; of two equally near, the even one."""
    code = value.code
    if kind == "real":
        return value
    if kind == "half":
        return Value(code, code.builder.fptrunc(value.ir, code.type(kind, value.lanes)), kind)
    # Some processors have an instruction for it, which rounds others than PyTorch does.
    bits = code.bitcast(value, "word")
    rounded = bits + ((bits >> 16) & 1) + 0x7FFF
    bits = code.where(value == value, rounded, 0x7FC00000) >> 16
    short = code.builder.trunc(bits.ir, code.type("brain", value.lanes))
    return Value(code, short, "brain")


class Ahead:
    """Rows to prefetch, of whatever kinds. An element is chosen when the kernel runs."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.places = []
        for row in rows:
            integer = row.address.code.integer
            self.places.append((row.address, integer(row.size), row.apart or integer(0)))

    def unless(self, condition: Value, other: Ahead) -> Ahead:
        """The other's rows if the condition holds. The shorter of both repeats its last row."""
        made, mine, its = Ahead([]), self.places, other.places
        for i in range(max(len(mine), len(its)) if mine and its else 0):
            pair = zip(its[min(i, len(its) - 1)], mine[min(i, len(mine) - 1)], strict=True)
            address, size, apart = (condition.code.where(condition, a, b) for a, b in pair)
            made.places.append((address, size, apart))
        return made

    def fetch(self, j: Value, lanes: int) -> None:
        """Prefetch the line of the `j`-th numbers."""
        for address, size, apart in self.places if lanes > 1 else ():
            line, part = address + j * size, part_of(j)
            j.code.prefetch(line + apart * part if part else line)
