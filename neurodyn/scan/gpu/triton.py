"""The functions of a GPU kernel as Python source, for Triton."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from neurodyn.step.functions import Function
from neurodyn.step.graph import Node, Number, reachable

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=",
}  # fmt: skip
CALLS = {
    "where": "tl.where({0}, {1}, {2})",
    # Triton's interpreter has no `&` and `|` of one truth and a block of them.
    "and": "tl.where({0}, {1}, False)",
    "or": "tl.where({0}, True, {1})",
    **{
        name: f"tl.{name}({{0}})"
        for name in ("abs", "floor", "ceil", "exp", "log", "sqrt", "sin", "cos", "erf")
    },
    "neg": "-{0}",
    "not": "~{0}",
}
CASTS = {"real": "{0}.to(tl.float32)", "int": "{0}.to(tl.int64)", "bool": "({0} != 0)"}
WRITTEN = {*INFIX, *CALLS, "cast"}
"""The operations that Triton has; `step.lowered` defines all others by these."""
LONGEST_EXPRESSION = 60


@dataclass
class Source:
    """Lines of source, indented by blocks."""

    lines: list[str] = field(default_factory=list)
    depth: int = 0

    def __call__(self, *lines: str) -> None:
        self.lines.extend("    " * self.depth + line if line else "" for line in lines)

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1

    def block(self, head: str) -> Source:
        self(head)
        return self

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def print_function(
    source: Source,
    function: Function,
    definitions: Mapping[Node, Node],
    exact: Container[Node] | None = None,
) -> None:
    """Write a function. A value that is used twice or is long gets a line of its own.

    Args:
        definitions: those of operations that Triton lacks.
        exact: the nodes to round as they are written; other sums of products are fused
            multiply-adds. All nodes if None. Definitions are never fused, as some rely on rounding.
    """
    names = {node: node.name or f"r{node.index}" for node in function.arguments}
    results = [_meant(node, names, definitions) for node in function.results]
    needs = _in_order(results, names, definitions)
    uses = Counter(arg for args in needs.values() for arg in args)
    fused = {} if exact is None else _fused(function, needs, uses, exact)
    source("", "", "@triton.jit")
    with source.block(f"def {function.name}({', '.join(names.values())}):"):
        for node, args in needs.items():
            if node in fused.values():
                continue
            if node in fused:
                text = _multiply_add(node, fused[node], needs, names)
            else:
                text = _expression(node, [names[arg] for arg in args])
            if node.op == "const":
                names[node] = text
            elif uses[node] == 1 and len(text) < LONGEST_EXPRESSION and node not in results:
                bare = node in fused or node.op in CALLS or node.op == "cast"
                names[node] = text if bare else f"({text})"
            else:
                names[node] = f"r{node.index}"
                source(f"{names[node]} = {text}")
        source(f"return {', '.join(names[node] for node in results)}")


def _fused(
    function: Function,
    needs: Mapping[Node, list[Node]],
    uses: Mapping[Node, int],
    exact: Container[Node],
) -> dict[Node, Node]:
    """For each addition or subtraction to fuse, its product; no other operation uses that."""
    own = set(reachable(function.results, frozenset(function.arguments)))
    found: dict[Node, Node] = {}
    for node, args in needs.items():
        if node.op in ("add", "sub") and node.kind == "real" and node in own and node not in exact:
            for arg in args:
                once = arg.op == "mul" and arg in needs and uses[arg] == 1
                if once and arg in own and arg not in exact and arg not in function.results:
                    found[node] = arg
                    break
    return found


def _multiply_add(
    node: Node, product: Node, needs: Mapping[Node, list[Node]], names: Mapping[Node, str]
) -> str:
    a, b = (names[arg] for arg in needs[product])
    first, second = needs[node]
    if first is product:
        return f"tl.fma({a}, {b}, {'-' if node.op == 'sub' else ''}{names[second]})"
    return f"tl.fma({'-' if node.op == 'sub' else ''}{a}, {b}, {names[first]})"


def _meant(node: Node, given: Container[Node], definitions: Mapping[Node, Node]) -> Node:
    """The node to write: for an operation that Triton lacks, its definition."""
    while node not in given and node.args and node.op not in WRITTEN:
        node = definitions[node]
    return node


def _in_order(
    results: Iterable[Node], given: Container[Node], definitions: Mapping[Node, Node]
) -> dict[Node, list[Node]]:
    """The nodes that the results need, each after its arguments, and these arguments."""
    found: dict[Node, list[Node]] = {}

    def visit(node: Node) -> None:
        if node not in found and node not in given:
            args = [_meant(arg, given, definitions) for arg in node.args]
            for arg in args:
                visit(arg)
            found[node] = args

    for node in results:
        visit(node)
    return found


def _expression(node: Node, args: list[str]) -> str:
    if node.op == "const":
        return _literal(node.value)
    if node.op == "cast":
        return CASTS[node.kind].format(*args)
    if bound := _bound(node):
        return f"tl.{bound}({args[2]}, {args[1]}, propagate_nan=tl.PropagateNan.ALL)"
    if node.op in INFIX:
        return f"{args[0]} {INFIX[node.op]} {args[1]}"
    return CALLS[node.op].format(*args)


def _bound(node: Node) -> str | None:
    """The name of the operation that bounds a value by a number, NaN staying NaN, if it is that."""
    if node.op != "where" or node.args[0].op not in ("lt", "gt"):
        return None
    (value, limit), (_, bound, other) = node.args[0].args, node.args
    if bound is limit and other is value and bound.op == "const" and bound.kind == "real":
        return "maximum" if node.args[0].op == "lt" else "minimum"
    return None


def _literal(value: Number) -> str:
    special = {"inf": 'float("inf")', "-inf": '-float("inf")', "nan": 'float("nan")'}
    return special.get(repr(value), repr(value))
