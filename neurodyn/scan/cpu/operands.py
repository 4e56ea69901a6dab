"""Parameters and initial states inside a kernel, and what follows from parameters alone.

The latter is computed once for a column: as one number where all it follows from is one number, and
else as a row in memory. What differs between blocks is computed where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
from neurodyn.scan.cpu.rows import Row, part_of
from neurodyn.step.graph import Node, reachable


class Operands:
    """The values of a column's operands."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.code = kernel, kernel.code
        self.single: Values = {}
        """What is one number in this column."""
        self.once: list[Node] = []
        """What follows from such numbers alone."""
        self.rows: dict[Node, str] = {}
        """The names of rows in memory, by the node whose values they hold."""
        self.loaded: dict[tuple[Node, Any], Value] = {}
        """What the blocks that are visited at once share, by node and loop."""
        for node in kernel.functions.prepare.results:
            kinds = {kernel.kinds[leaf] for leaf in reachable((node,)) if leaf in kernel.kinds}
            if kinds == {"one"}:
                self.once.append(node)
            elif "full" not in kinds and node.kind == "real":
                self.rows[node] = f"r{node.index}"

    def enter(self) -> None:
        """Load and compute what a column needs; inside the loop over tasks."""
        kernel = self.kernel
        self.single = {}
        for leaf, kind in kernel.kinds.items():
            if kind == "one":
                tensor = kernel.tensors[str(leaf)]
                place = kernel.q // tensor.time % tensor.block
                with self.code.named(str(leaf)):
                    self.single[leaf] = tensor.row.load(place, 1)
        kernel.evaluate(self.once, self.single, exact=True)
        if self.rows:
            kernel.elements(self._prepare, once=True)

    def _prepare(self, j: Value, lanes: int) -> None:
        kernel, zero = self.kernel, self.code.integer(0)
        known = {leaf: self.code.repeated(v, lanes) for leaf, v in self.single.items()}
        for p in kernel.functions.parameters:
            if kernel.kinds[p] == "row":
                known[p] = self.at(p, zero, j, lanes)
        values = kernel.evaluate(list(self.rows), known, exact=True, lanes=lanes)
        for row, value in zip(self.rows.values(), values, strict=True):
            kernel.keep(value, row, j, lanes)

    def at(self, leaf: Node, o: Value, j: Value, lanes: int) -> Value:
        """A parameter or initial state at some elements."""
        kernel, kind = self.kernel, self.kernel.kinds[leaf]
        tensor = kernel.tensors[str(leaf)]
        with self.code.named(str(leaf)):
            if kind == "one":
                return self.code.repeated(self.single[leaf], lanes)
            if kind == "full":
                return kernel.row(str(leaf), o).load(j, lanes)
            return self._shared(leaf, tensor.row.after(kernel.q), j, lanes)

    def _shared(self, node: Node, row: Row, j: Value, lanes: int) -> Value:
        """Elements of a row that blocks share: loaded for the first of them."""
        place = node, j.ir
        if part_of(j) == 0:
            self.loaded[place] = row.load(j, lanes)
        return self.loaded[place]

    def initial(self, u: Node, o: Value) -> Callable[[Value, int], Value]:
        """A state before the first step, for `copy`."""
        return lambda j, lanes: self.at(u, o, j, lanes)

    def known(self, o: Value, j: Value, lanes: int) -> Values:
        """Parameters at some elements, and what follows from them alone."""
        kernel, functions = self.kernel, self.kernel.functions
        known = {p: self.at(p, o, j, lanes) for p in functions.parameters}
        known |= {node: self.code.repeated(self.single[node], lanes) for node in self.once}
        for node, row in self.rows.items():
            with self.code.named(row):
                known[node] = self._shared(node, kernel.memory[row], j, lanes)
        kernel.evaluate(functions.prepare.results, known, exact=True, lanes=lanes)
        return known
