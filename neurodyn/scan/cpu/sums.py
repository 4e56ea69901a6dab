"""The gradients of parameters and of initial states, as a backward kernel sums them.

A parameter with one number for a column has a sum over the column, lane by lane in float32, and
over a task in float64. One with a number per element has a row of sums: over some steps in float32,
in the kernel's memory, and over all in float64. What has a number for every element of every block
is not summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Body, Kernel, Values
from neurodyn.scan.cpu.operands import Operands
from neurodyn.scan.cpu.rows import part_of
from neurodyn.step.graph import Node, reachable

FLUSH = 256
"""Steps over which a row of sums is in float32 before it goes to float64."""


class Sums:
    """Writes what adds up to the gradients of `functions.summed`."""

    def __init__(self, kernel: Kernel, given: Operands) -> None:
        self.kernel, self.code, self.given = kernel, kernel.code, given
        kinds, states = kernel.kinds, kernel.trace.states
        self.summed = kernel.functions.summed
        self.learned = [p for p in self.summed if p not in states]
        """The parameters among them. (A state's gradient is carried through time.)"""
        self.rows = [p for p in self.learned if kinds[p] == "row"]
        self.full = [p for p in self.learned if kinds[p] == "full"]
        self.wide = {p: self.code.variable("wide") for p in self.summed if kinds[p] == "one"}
        """Sums over a task; `narrow` has those over a column, lane by lane."""
        self.narrow = {
            (p, lanes): self.code.variable("real", lanes)
            for p in self.wide
            for lanes in (kernel.lanes, 1)
        }
        self.running: Values = {}
        """Sums over the blocks that are visited at once."""
        self.late = {p for p in self.learned if self._same_over_sum(p)}
        """Parameters whose gradients are multiplied by their factors after they are summed."""

    def _same_over_sum(self, p: Node) -> bool:
        """Whether the factor of a parameter's gradient is one number wherever the parameter is."""
        kinds, factors = self.kernel.kinds, self.kernel.functions.factors
        if kinds[p] == "full":  # It is not summed.
            return False
        same = ("one",) if kinds[p] == "one" else ("one", "row")
        leaves = reachable((factors[p],)) if p in factors else []
        return all(kinds[leaf] in same for leaf in leaves if leaf in kinds)

    def begin(self) -> None:
        """Before a task."""
        for total in self.wide.values():
            total.set(0.0)
        for p in self.summed:
            if self.kernel.kinds[p] == "row":
                self._set(p, lambda j, lanes: self.code.constant(0.0, "wide", lanes), once=True)
        self.clear(self.rows)

    def end(self, task: Value, o: Value) -> None:
        """After a task, whose last block was `o`."""
        self.flush(o)
        for p, total in self.wide.items():
            value = self._scaled(p, total.get(), self.given.single)
            address = self.kernel.tensors[f"sum_{p}"].row.address
            self.code.store(value, address + task * 8)

    def after_block(self, o: Value) -> None:
        """After a block: now and then, the rows go to float64."""
        each = self.kernel.together
        every = self.code.integer(FLUSH // each - 1) // self.kernel.at["steps"] + 1
        with self.code.builder.if_then((o // each % every == every - 1).ir):
            self.flush(o)

    def flush(self, o: Value) -> None:
        """The rows go to float64; `o` is a block that was visited."""
        for p in self.rows:
            self._add_row(p, o)
        self.clear(self.rows)

    def add(self, p: Node, grad: Value, o: Value, j: Value, lanes: int) -> None:
        """Add the gradient of a parameter, or of an initial state, at some elements."""
        if p in self.kernel.functions.factors and p not in self.late:
            grad = grad * self._factor(p, self.given.known(o, j, lanes), lanes)
        grad = self.code.repeated(grad, lanes)
        if p in self.wide:
            with self.code.exactly(False):
                self.narrow[p, lanes].add(grad)
        else:
            row, part = self.kernel.memory[f"{p}_grad"], part_of(j)
            shared = p in self.rows
            before = self.running[p] if shared and part else row.load(j, lanes)
            self.running[p] = before + grad
            if not shared or part == self.kernel.together - 1:
                row.store(self.running[p], j, lanes)

    def over(self, leaves: Sequence[Node], body: Body) -> None:
        """A loop over a row, in which `add` is called for these."""
        pairs = [(p, lanes) for p in leaves if p in self.wide for lanes in (self.kernel.lanes, 1)]
        for pair in pairs:
            self.narrow[pair].set(0.0)
        self.kernel.elements(body, writing=True)
        for p, lanes in pairs:
            self.wide[p].add(self.code.total(self.narrow[p, lanes].get()))

    def add_block(self, leaf: Node, o: Value) -> None:
        """Add a row of gradients that belongs to one block: an initial state's, for example."""
        kernel, kind = self.kernel, self.kernel.kinds[leaf]
        grad = kernel.memory[f"{leaf}_grad"].load
        if kind == "full":
            kernel.copy(grad, kernel.row(f"sum_{leaf}", o))
        elif kind == "row":
            self._add_row(leaf, o)
        else:
            self.over([leaf], lambda j, lanes: self.add(leaf, grad(j, lanes), o, j, lanes))

    def clear(self, leaves: Sequence[Node]) -> None:
        """Set the gradients of these in memory to zero."""
        zero = self.code.constant(0.0, "real")
        for leaf in leaves:
            self.kernel.copy(lambda j, lanes: zero, self.kernel.memory[f"{leaf}_grad"])

    def _add_row(self, leaf: Node, o: Value) -> None:
        grad, code = self.kernel.memory[f"{leaf}_grad"].load, self.code

        def total(j: Value, lanes: int) -> Value:
            known = self.given.known(o, j, lanes)
            value = self._scaled(leaf, code.cast(grad(j, lanes), "wide"), known, lanes)
            return code.load(self._address(leaf, j), "wide", lanes) + value

        self._set(leaf, total, once=leaf in self.rows)

    def _scaled(self, p: Node, total: Value, known: Values, lanes: int = 1) -> Value:
        """A sum in float64, times the factor of the parameter's gradient."""
        if p not in self.late or p not in self.kernel.functions.factors:
            return total
        return total * self.code.cast(self._factor(p, known, lanes), "wide")

    def _factor(self, p: Node, known: Values, lanes: int) -> Value:
        factor = self.kernel.functions.factors[p]
        (value,) = self.kernel.evaluate([factor], dict(known), exact=True, lanes=lanes)
        return self.code.repeated(value, lanes)

    def _address(self, leaf: Node, j: Value) -> Value:
        """The address of a sum that belongs to an element."""
        tensor = self.kernel.tensors[f"sum_{leaf}"]
        return tensor.row.address + (self.kernel.group * tensor.block + self.kernel.q + j) * 8

    def _set(self, leaf: Node, value: Callable[[Value, int], Value], *, once: bool) -> None:
        self.kernel.elements(
            lambda j, lanes: self.code.store(value(j, lanes), self._address(leaf, j)), once=once
        )
