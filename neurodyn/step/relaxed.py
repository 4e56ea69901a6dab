"""The arithmetic of a derivative, made cheaper.

A kernel has to give the spikes of a step to the last bit. Its derivative may round in another way
than it was written. So a division by what follows from parameters alone becomes a multiplication
by the reciprocal, which is computed once. A parameter's gradient is a sum over time: factors that
follow from parameters alone are taken out of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from neurodyn.step.graph import Builder, Node, reachable


def parameter_only(nodes: Iterable[Node], parameters: Iterable[Node]) -> frozenset[Node]:
    """The nodes that follow from parameters alone, and the parameters. `nodes` lists the arguments
    of a node before it."""
    only = set(parameters)
    for node in nodes:
        args = [arg for arg in node.args if arg.op != "const"]
        if args and all(arg in only for arg in args):
            only.add(node)
    return frozenset(only)


def with_reciprocals(
    builder: Builder,
    results: Iterable[Node],
    gradients: Iterable[Node | None],
    parameters: Iterable[Node],
) -> tuple[Node | None, ...]:
    """The gradients without divisions by what follows from parameters alone. Values of the step
    itself stay as they are."""
    given = tuple(gradients)
    backward = reachable([g for g in given if g is not None])
    constant, made = parameter_only(backward, parameters), dict[Node, Node]()
    step = frozenset(reachable(results))
    one = builder.const(1.0, "real")
    for node in backward:
        args = tuple(made[arg] for arg in node.args)
        if not args or node in step or node in constant:
            made[node] = node
        elif node.op == "div" and node.args[1] in constant:
            made[node] = builder.make("mul", args[0], builder.make("div", one, args[1]))
        elif node.op == "cast":
            made[node] = builder.cast(args[0], node.kind)
        else:
            made[node] = builder.make(node.op, *args)
    return tuple(None if g is None else made[g] for g in given)


class Factors:
    """Cuts gradients into a part that varies over time, and a factor of parameters alone.

    Args:
        builder: of the graph.
        constant: the nodes that follow from parameters alone.
        shared: nodes that are computed anyway, and are not taken apart.
    """

    def __init__(
        self, builder: Builder, constant: frozenset[Node], shared: frozenset[Node]
    ) -> None:
        self.builder, self.constant, self.shared = builder, constant, shared
        self.one = builder.const(1.0, "real")
        self._known: dict[Node, tuple[Node, Node]] = {}

    def cut(self, node: Node) -> tuple[Node, Node]:
        """`(varying, factor)`, whose product the node is."""
        # Arguments first and each node once: recursion would be deep, and its paths double.
        for inner in reachable((node,), self.shared):
            if inner not in self._known:
                self._known[inner] = self._cut(inner)
        return self._known[node]

    def _cut(self, node: Node) -> tuple[Node, Node]:
        if not node.args or node in self.shared:
            return node, self.one
        make, known, args = self.builder.make, self._known, node.args
        if node.op == "neg":
            varying, factor = known[args[0]]
            return varying, make("neg", factor)
        if node.op == "mul":
            return self._product(*args)
        if node.op == "div" and args[1] in self.constant:
            varying, factor = known[args[0]]
            return varying, make("div", factor, args[1])
        if node.op in ("add", "sub") or (node.op == "where" and args[0] in self.constant):
            (a, p), (b, q) = (known[arg] for arg in args[-2:])
            if a is b and a not in self.constant:
                return a, make(node.op, *args[:-2], p, q)
        return node, self.one

    def _product(self, a: Node, b: Node) -> tuple[Node, Node]:
        fixed = [arg for arg in (a, b) if arg in self.constant or arg.op == "const"]
        if fixed:
            varying, factor = self._known[a if fixed[0] is b else b]
            return varying, self.builder.make("mul", fixed[0], factor)
        (x, p), (y, q) = self._known[a], self._known[b]
        return self.builder.make("mul", x, y), self.builder.make("mul", p, q)
