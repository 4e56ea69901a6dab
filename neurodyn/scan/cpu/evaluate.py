"""The values of a graph's nodes, as instructions of a CPU kernel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from neurodyn.scan.cpu.llvm import Code, Value
from neurodyn.scan.cpu.math import OPERATIONS
from neurodyn.step.graph import Node, reachable

ARITHMETIC = ("add", "sub", "mul", "div", "neg")
"""Operations that may be contracted and reordered in a derivative; functions may not."""
LONG = ("exp", "expm1", "log")
"""Functions that take many instructions: as many for one number as for a vector."""
LONGER = (*LONG, "sin", "cos", "pow", "erf")
"""All functions that take many instructions; those of the C library are computed lane by lane."""
MOST = 8
"""Single numbers that make up a vector; there are rarely more at once."""
Values = dict[Node, Value]


def is_long(node: Node, definitions: Mapping[Node, Node]) -> bool:
    """Whether a node is a long function, or is defined by one (`step.lowered`)."""
    if node.op in OPERATIONS or node not in definitions:
        return node.op in LONGER
    parts = reachable((definitions[node],), frozenset(node.args))
    return any(is_long(part, definitions) for part in parts if part not in node.args)


class Evaluation:
    """Writes the values of nodes, for some lanes.

    Args:
        code: of the kernel.
        definitions: of functions that `OPERATIONS` does not have (`step.lowered`).
        lanes: of every value.
    """

    def __init__(self, code: Code, definitions: Mapping[Node, Node], lanes: int) -> None:
        self.code, self.definitions, self.lanes = code, definitions, lanes

    def add(self, nodes: Sequence[Node], known: Values, exact: bool) -> None:
        """Add the values of nodes, and all values in between, to `known`.

        With one lane, long functions wait until all others are done that do not need them; then
        they are computed side by side.
        """
        waiting = self._ordered(nodes, known, exact)
        while waiting:
            ready: list[Node] = []
            for node, exactly in list(waiting.items()):
                if all(given in known for given in self._given(node)):
                    del waiting[node]
                    if self.lanes == 1 and node.op in LONG:
                        ready.append(node)
                    else:
                        with self.code.named(f"r{node.index}"), self.code.exactly(exactly):
                            known[node] = self._value(node, known)
            self._side_by_side(ready, known)

    def _ordered(
        self, nodes: Sequence[Node], known: Collection[Node], exact: bool
    ) -> dict[Node, bool]:
        """The nodes to evaluate and those of their definitions, each after those that it needs; and
        whether it is evaluated exactly."""
        found: dict[Node, bool] = {}
        for node in reachable(nodes, frozenset(known)):
            if node not in known and node not in found:
                if self._defined(node):
                    found |= self._ordered(self._given(node), {*known, *found}, True)
                found[node] = exact or node.op not in ARITHMETIC
        return found

    def _defined(self, node: Node) -> bool:
        return node in self.definitions and node.op not in OPERATIONS

    def _given(self, node: Node) -> Sequence[Node]:
        """The nodes that a node is computed from: its definition, or its arguments."""
        return (self.definitions[node],) if self._defined(node) else node.args

    def _value(self, node: Node, known: Values) -> Value:
        given = [known[other] for other in self._given(node)]
        if node.op == "const":
            return self.code.constant(node.value, node.kind, self.lanes)
        if node.op == "cast":
            return self.code.cast(given[0], node.kind)
        return given[0] if self._defined(node) else OPERATIONS[node.op](*given)

    def _side_by_side(self, nodes: Sequence[Node], known: Values) -> None:
        """Compute functions of single numbers as the lanes of vectors."""
        for op in LONG:
            same = [node for node in nodes if node.op == op]
            for few in (same[i : i + MOST] for i in range(0, len(same), MOST)):
                with self.code.named(f"r{few[0].index}"), self.code.exactly(True):
                    given = self.code.joined([known[node.args[0]] for node in few])
                    values = self.code.split(OPERATIONS[op](given))
                known.update(zip(few, values, strict=True))
