"""The functions of a GPU kernel as Python source, for Triton."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from neurodyn.step.functions import Function
from neurodyn.step.graph import Node, Number, reachable

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=", "and": "&", "or": "|",
}  # fmt: skip
CALLS = {
    "abs": "tl.abs({0})",
    "sign": "sign({0})",
    "minimum": "minimum({0}, {1})",
    "maximum": "maximum({0}, {1})",
    "where": "tl.where({0}, {1}, {2})",
    **{name: f"tl.{name}({{0}})" for name in ("exp", "log", "sqrt", "sin", "cos", "erf")},
    **{name: f"{name}({{0}})" for name in ("expm1", "log1p", "sigmoid", "tanh", "trunc")},
    "rsqrt": "(1.0 / tl.sqrt({0}))",
    "pow": "power({0}, {1})",
    "floor": "tl.floor({0})",
    "ceil": "tl.ceil({0})",
    "round": "nearest({0})",
}
CASTS = {"real": "{0}.to(tl.float32)", "int": "{0}.to(tl.int64)", "bool": "({0} != 0)"}
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


def print_function(source: Source, function: Function) -> None:
    """Write a function: a line for every value that is used twice or is long."""
    names = {node: node.name or f"r{node.index}" for node in function.arguments}
    nodes = reachable(function.results, frozenset(function.arguments))
    uses = Counter(arg for node in nodes if node not in names for arg in set(node.args))
    uses.update(
        Counter(arg for n in nodes if n not in names for arg in n.args if n.args.count(arg) > 1)
    )
    source("", "", "@triton.jit")
    with source.block(f"def {function.name}({', '.join(names.values())}):"):
        for node in nodes:
            if node in names:
                continue
            text = _expression(node, names)
            atom = node.op == "const"
            if atom or (
                uses[node] == 1 and len(text) < LONGEST_EXPRESSION and node not in function.results
            ):
                names[node] = text if atom or _is_call(node) else f"({text})"
            else:
                names[node] = f"r{node.index}"
                source(f"{names[node]} = {text}")
        results = [names[node] for node in function.results]
        # One value alone is returned as such: tuples of one are no gain.
        source(f"return {', '.join(results)}")


def _is_call(node: Node) -> bool:
    return node.op in CALLS or node.op == "cast"


def _expression(node: Node, names: dict[Node, str]) -> str:
    if node.op == "const":
        return _literal(node.value)
    if node.op == "leaf":
        return node.name
    args = [names[arg] for arg in node.args]
    if node.op == "cast":
        return CASTS[node.kind].format(*args)
    if node.op in CALLS:
        return CALLS[node.op].format(*args)
    if node.op in INFIX:
        return f"{args[0]} {INFIX[node.op]} {args[1]}"
    return {"neg": "-{0}", "not": "~{0}"}[node.op].format(*args)


def _literal(value: Number) -> str:
    special = {"inf": 'float("inf")', "-inf": '-float("inf")', "nan": 'float("nan")'}
    return special.get(repr(value), repr(value))
