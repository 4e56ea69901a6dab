"""Parameters and initial states inside a kernel, and what follows from parameters alone.

The latter is computed once for a column: as one number where all it follows from is one number, and
else as a row in memory. What differs between blocks is computed where it is used.
"""

from __future__ import annotations

from collections.abc import Callable

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
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
            kernel.elements(self._prepare)

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
            place = o * tensor.block + kernel.q if kind == "full" else kernel.q
            return tensor.row.after(place).load(j, lanes)

    def initial(self, u: Node, o: Value) -> Callable[[Value, int], Value]:
        """A state before the first step, for `copy`."""
        return lambda j, lanes: self.at(u, o, j, lanes)

    def known(self, o: Value, j: Value, lanes: int) -> Values:
        """Parameters at some elements, and what follows from them alone."""
        kernel, functions = self.kernel, self.kernel.functions
        known = {p: self.at(p, o, j, lanes) for p in functions.parameters}
        known |= {node: self.code.repeated(self.single[node], lanes) for node in self.once}
        known |= {node: kernel.kept(row, j, lanes) for node, row in self.rows.items()}
        kernel.evaluate(functions.prepare.results, known, exact=True, lanes=lanes)
        return known
