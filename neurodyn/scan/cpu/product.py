"""Products of the rows of a group of samples with a matrix, inside a kernel.

Sums run over the rows of the matrix in their order, one at a time, in the dense and in the sparse
product. So both give the same numbers: a row whose factor is zero adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from neurodyn.scan.cpu.build import wide_registers
from neurodyn.scan.cpu.llvm import WHOLE, Value
from neurodyn.scan.cpu.loops import Kernel
from neurodyn.scan.cpu.rows import Row

WORD = 64
"""Elements of a row whose mask is one number."""
MANY = 0.3
"""Above this share of numbers that are not zero, the dense product is taken. Measured, both take as
long at 0.6 with 64 neurons, at 0.3 with 256, and at 0.25 with 512."""


@dataclass(frozen=True)
class Rows:
    """Rows in memory: the first, and the bytes from one to the next."""

    first: Row
    stride: Value

    def at(self, i: Value, j: Value) -> Value:
        """The address of an element."""
        return self.first.address + i * self.stride + j * self.first.size


class Product:
    """Writes products into a kernel. Matrices and targets have rows of whole `WORD`s."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.code, self.lanes = kernel, kernel.code, kernel.lanes
        wide = wide_registers()
        self.blocks = ((8, 2), (4, 4), (2, 4), (1, 4)) if wide else ((4, 1), (2, 2), (1, 4))
        """Rows and vectors of a block, whose sums stay in registers."""
        self.spans = (16, 8, 4) if wide else (4,)
        """Vectors of a row whose sums stay in registers."""

    def dense(
        self, pairs: Sequence[tuple[Rows, Rows]], target: Rows, count: Value, *, onto: bool
    ) -> None:
        """`target = sum of source @ matrix`, over pairs of a source and a matrix.

        Args:
            count: how many rows sources and target have.
            onto: add the sum to the target.
        """
        code, start = self.code, self.code.integer(0)
        for rows, vectors in self.blocks:
            stop = start + (count - start) // rows * rows
            width = vectors * self.lanes
            with (
                code.range("i", start, stop, rows) as i,
                code.range("j", code.integer(0), self.kernel.n, width) as j,
            ):
                self._block(pairs, target, i, j, rows, vectors, onto)
            start = stop

    def _block(
        self,
        pairs: Sequence[tuple[Rows, Rows]],
        target: Rows,
        i: Value,
        j: Value,
        rows: int,
        vectors: int,
        onto: bool,
    ) -> None:
        """The sums of some rows and vectors of the target."""
        code, lanes = self.code, self.lanes
        places = [target.at(i + r, j + v * lanes) for r in range(rows) for v in range(vectors)]
        sums = [code.variable("real", lanes) for _ in places]
        for total, place in zip(sums, places, strict=True):
            total.set(code.load(place, lanes=lanes) if onto else 0.0)
        for source, matrix in pairs:
            with code.range("k", code.integer(0), self.kernel.n) as k, code.contracted():
                right = [
                    code.load(matrix.at(k, j + v * lanes), lanes=lanes) for v in range(vectors)
                ]
                for r in range(rows):
                    left = code.repeated(code.load(source.at(i + r, k)), lanes)
                    for v, vector in enumerate(right):
                        sums[r * vectors + v].add(left * vector)
        for total, place in zip(sums, places, strict=True):
            code.store(total.get(), place)

    def sparse(
        self, source: Rows, pairs: Sequence[tuple[Rows, Rows]], masks: Rows, count: Value
    ) -> None:
        """`target = source @ matrix` for each pair of a target and a matrix, where most numbers of
        the source are zero; its rows have to end in zeros, as whole `WORD`s.

        Args:
            masks: memory for the masks of the source.
        """
        code, n = self.code, self.kernel.n
        some = code.cast(self._mask(source, masks, count), "wide")
        many = some > code.cast(count * n, "wide") * MANY
        with code.builder.if_else(many.ir) as (then, otherwise):
            with then:
                for target, matrix in pairs:
                    self.dense([(source, matrix)], target, count, onto=False)
            with otherwise, code.range("i", code.integer(0), count) as i:
                for target, matrix in pairs:
                    start = code.integer(0)
                    for vectors in self.spans:
                        width = vectors * self.lanes
                        whole = start + (n - start) // width * width
                        stop = n if vectors == self.spans[-1] else whole
                        with code.range("j", start, stop, width) as j:
                            self._picked(source, matrix, target, masks, i, j, vectors)
                        start = stop

    def _picked(
        self,
        source: Rows,
        matrix: Rows,
        target: Rows,
        masks: Rows,
        i: Value,
        j: Value,
        vectors: int,
    ) -> None:
        """The sums of some vectors, over the rows of the matrix whose factor is not zero."""
        code, lanes = self.code, self.lanes
        sums = [code.variable("real", lanes) for _ in range(vectors)]
        for total in sums:
            total.set(0.0)
        with (
            code.range("w", code.integer(0), self._words()) as w,
            self._bits(code.load(masks.at(i, w), "int")) as bit,
            code.contracted(),
        ):
            k = w * WORD + bit
            left = code.repeated(code.load(source.at(i, k)), lanes)
            for v, total in enumerate(sums):
                total.add(left * code.load(matrix.at(k, j + v * lanes), lanes=lanes))
        for v, total in enumerate(sums):
            code.store(total.get(), target.at(i, j + v * lanes))

    def _mask(self, source: Rows, masks: Rows, count: Value) -> Value:
        """Write the mask of every row: a bit for each number, set unless it is zero. Returns how
        many are set."""
        code, build, lanes = self.code, self.code.builder, self.lanes
        total = code.variable("int")
        total.set(0)
        with (
            code.range("i", code.integer(0), count) as i,
            code.range("w", code.integer(0), self._words()) as w,
        ):
            mask = WHOLE(0)
            for first in range(0, WORD, lanes):
                some = code.load(source.at(i, w * WORD + first), lanes=lanes) != 0.0
                bits = build.zext(build.bitcast(some.ir, ir.IntType(lanes)), WHOLE)
                mask = build.or_(mask, build.shl(bits, WHOLE(first)))
            made = Value(code, mask, "int")
            code.store(made, masks.at(i, w))
            total.add(code.counted("ctpop", made))
        return total.get()

    def _words(self) -> Value:
        return (self.kernel.n + (WORD - 1)) // WORD

    @contextmanager
    def _bits(self, mask: Value) -> Iterator[Value]:
        """A loop over the places of the bits that are set, from the lowest."""
        code, build = self.code, self.code.builder
        left = code.variable("int")
        left.set(mask)
        head, body, after = map(build.append_basic_block, ("over_bits", "each_bit", "after_bits"))
        build.branch(head)
        build.position_at_end(head)
        rest = left.get()
        build.cbranch((rest != 0).ir, body, after)
        build.position_at_end(body)
        yield code.counted("cttz", rest)
        left.set(rest & (rest - 1))
        build.branch(head)
        build.position_at_end(after)
