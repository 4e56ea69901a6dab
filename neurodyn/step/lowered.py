"""Functions that are arithmetic on simpler ones, defined once for all targets.

The recorded graph keeps `tanh` and its like as one node each: simplifications, derivatives and
counts of operations see them so. When code is written, a target takes what it has itself (`exp`,
`log`, `floor`, ...) from a table of its own, and everything else from here. A definition is a graph
of the same builder, so sub-expressions are shared between definitions too.

NaN in gives NaN out, infinities come out right, and results near zero keep their relative accuracy.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable

from neurodyn.step.graph import Builder, Kind, Node, Number, reachable


def definitions(builder: Builder, results: Iterable[Node], double: bool) -> dict[Node, Node]:
    """The definitions of a graph's nodes, and of the nodes in these definitions.

    Args:
        double: the arithmetic is float64, so series are longer.
    """
    found: dict[Node, Node] = {}
    todo = list(results)
    while todo:
        new = [n for n in reachable(todo, frozenset(found)) if n.op in RULES and n not in found]
        for node in new:
            rule = EXACT_SERIES.get(node.op, RULES[node.op]) if double else RULES[node.op]
            found[node] = rule(*(Term(builder, arg) for arg in node.args)).node
        todo = [found[node] for node in new]
    return found


KINDS: dict[type, Kind] = {bool: "bool", int: "int"}
FOLDED: dict[str, Callable[..., Number]] = {
    **{name: getattr(operator, name) for name in ("lt", "gt", "eq", "ne", "mul", "neg", "abs")},
    "not": operator.not_,
    "floor": lambda x: float(math.floor(x)) if math.isfinite(x) else x,
    "log": lambda x: -math.inf if x == 0 else math.log(x),
}
"""For functions of constants, such as `2 ** x`. (A logarithm is only taken of magnitudes.)"""


class Term:
    """A node with Python's operators; numbers become constants of its kind."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, builder: Builder, node: Node) -> None:
        self.builder, self.node = builder, node

    def make(self, op: str, *values: Term | Number) -> Term:
        """An operation on values that are of this term's kind; on constants, its result."""
        nodes = [self._node(value) for value in values]
        if op in FOLDED and all(node.op == "const" for node in nodes):
            value = FOLDED[op](*(node.value for node in nodes))
            return Term(self.builder, self.builder.const(value, KINDS.get(type(value), "real")))
        return Term(self.builder, self.builder.make(op, *nodes))

    def choose(self, a: Term | Number, b: Term | Number) -> Term:
        """`a` where this condition holds, else `b`."""
        like = next(value for value in (a, b) if isinstance(value, Term))
        return like.make("where", self, a, b)

    def cast(self, like: Term) -> Term:
        return Term(self.builder, self.builder.cast(self.node, like.node.kind))

    def _node(self, value: Term | Number) -> Node:
        if isinstance(value, Term):
            return value.node
        return self.builder.const(value, self.node.kind)

    def __add__(self, other: Term | Number) -> Term:
        return self.make("add", self, other)

    def __sub__(self, other: Term | Number) -> Term:
        return self.make("sub", self, other)

    def __mul__(self, other: Term | Number) -> Term:
        return self.make("mul", self, other)

    def __truediv__(self, other: Term | Number) -> Term:
        return self.make("div", self, other)

    def __rtruediv__(self, other: Number) -> Term:
        return self.make("div", other, self)

    def __neg__(self) -> Term:
        return self.make("neg", self)

    def __abs__(self) -> Term:
        return self.make("abs", self)

    def __lt__(self, other: Term | Number) -> Term:
        return self.make("lt", self, other)

    def __gt__(self, other: Term | Number) -> Term:
        return self.make("gt", self, other)

    def __eq__(self, other: Term | Number) -> Term:  # type: ignore[override]
        return self.make("eq", self, other)

    def __ne__(self, other: Term | Number) -> Term:  # type: ignore[override]
        return self.make("ne", self, other)

    def __and__(self, other: Term) -> Term:
        return self.make("and", self, other)

    def __or__(self, other: Term) -> Term:
        return self.make("or", self, other)

    def __invert__(self) -> Term:
        return self.make("not", self)


def sign(x: Term) -> Term:
    """-1, 0 or 1; 0 for NaN, as in PyTorch."""
    return (x > 0).cast(x) - (x < 0).cast(x)


def minimum(a: Term, b: Term) -> Term:
    """The smaller; NaN if either is."""
    return ((a < b) | (a != a)).choose(a, b)


def maximum(a: Term, b: Term) -> Term:
    """The larger; NaN if either is."""
    return ((a > b) | (a != a)).choose(a, b)


def rsqrt(x: Term) -> Term:
    """One over the square root."""
    return 1.0 / x.make("sqrt", x)


def sigmoid(x: Term) -> Term:
    """`1 / (1 + e^-x)`."""
    e = x.make("exp", -abs(x))
    return (x < 0.0).choose(e, 1.0) / (e + 1.0)


def tanh(x: Term) -> Term:
    """The hyperbolic tangent, as `-z / (z + 2)` with `z = e^(-2|x|) - 1`, which stays finite."""
    size = abs(x)
    z = x.make("expm1", -(size + size))
    return (x < 0.0).choose(z, -z) / (z + 2.0)


def expm1(x: Term, terms: int = 8) -> Term:
    """`e^x - 1`: a series for small `x`, so that nothing cancels."""
    p = x * (1 / math.factorial(terms)) + 1 / math.factorial(terms - 1)
    for n in range(terms - 2, 1, -1):
        p = p * x + 1 / math.factorial(n)
    return (abs(x) < 0.5).choose((p * x) * x + x, x.make("exp", x) - 1.0)


def log1p(x: Term) -> Term:
    """`log(1 + x)`."""
    u = x + 1.0
    plain = x.make("log", u)
    # What rounding lost in 1 + x comes back as a correction of first order.
    return ((u == math.inf) | (u == 0.0)).choose(plain, plain - ((u - 1.0) - x) / u)


def trunc(x: Term) -> Term:
    """The whole part."""
    return (x < 0.0).choose(x.make("ceil", x), x.make("floor", x))


def nearest(x: Term) -> Term:
    """The nearest whole number; of two equally near, the even one."""
    low = x.make("floor", x)
    rest, half = x - low, low * 0.5
    odd = x.make("floor", half) != half
    return low + ((rest > 0.5) | ((rest == 0.5) & odd)).cast(x)


def power(a: Term, b: Term) -> Term:
    """`a^b`; of a negative `a`, for whole `b` only."""
    size = a.make("exp", b * a.make("log", abs(a)))
    size = ((abs(a) == 1.0) | (b == 0.0)).choose(1.0, size)
    whole, half = b.make("floor", b) == b, b * 0.5
    odd = whole & (b.make("floor", half) != half)
    signed = ((a < 0.0) & odd).choose(-size, size)
    return ((a < 0.0) & (a > -math.inf) & ~whole).choose(math.nan, signed)


RULES: dict[str, Callable[..., Term]] = {
    **{f.__name__: f for f in (sign, minimum, maximum, rsqrt, sigmoid, tanh, expm1, log1p, trunc)},
    "round": nearest,
    "pow": power,
}
EXACT_SERIES: dict[str, Callable[..., Term]] = {"expm1": lambda x: expm1(x, terms=15)}
"""Rules for float64, which needs more terms."""
