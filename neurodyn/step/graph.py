"""The graph: a step's computation, as a list of scalar operations without repetition.

A node is an operation on nodes and numbers. The vocabulary is small (`OPS`). `aten.py` translates
PyTorch's operations into it. `lowered.py` defines some of its operations by others, and each target
writes the rest (`scan/cpu/math.py`, `scan/gpu/triton.py`). A `Builder` hands out the same node for
the same operation on the same arguments, so common sub-expressions are shared by construction. It
leaves out operations that do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["real", "bool", "int"]
Number = float | int | bool

COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "and", "or"})
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
LOGIC = frozenset({"and", "or", "not"})
OPS = (
    COMPARISONS
    | LOGIC
    | {"add", "sub", "mul", "div", "neg", "abs", "sign", "minimum", "maximum", "where"}
    | {"exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "pow", "sigmoid", "tanh", "sin", "cos"}
    | {"floor", "ceil", "round", "trunc", "erf", "cast"}
)


class UnsupportedStepError(NotImplementedError):
    """The step cannot become a kernel; the message says why, and names the line."""


class KernelError(RuntimeError):
    """A backend accepted a step and then failed to make its kernel."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation; `leaf` nodes are the step's arguments, `const` nodes are numbers."""

    index: int
    op: str
    args: tuple[Node, ...]
    kind: Kind
    name: str = ""
    value: Number = 0.0

    def __repr__(self) -> str:
        if self.op in ("leaf", "const"):
            return self.name or repr(self.value)
        return f"{self.op}({', '.join(f'%{a.index}' if a.args else repr(a) for a in self.args)})"


class Builder:
    """Makes nodes. The same operation on the same arguments is one node."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Node] = {}

    def leaf(self, name: str, kind: Kind = "real") -> Node:
        return self._node(("leaf", name), "leaf", (), kind, name=name)

    def const(self, value: Number, kind: Kind) -> Node:
        number: Number = {"real": float, "int": int, "bool": bool}[kind](value)
        return self._node(("const", kind, repr(number)), "const", (), kind, value=number)

    def make(self, op: str, *args: Node) -> Node:
        """A node for an operation of the vocabulary; simplified where the result stays the same."""
        kind: Kind = "bool" if op in COMPARISONS | LOGIC else args[-1].kind
        return self._simplified(op, args) or self._node(self._key(op, args), op, args, kind)

    def cast(self, node: Node, kind: Kind) -> Node:
        if node.kind == kind:
            return node
        if node.op == "const":
            return self.const(node.value, kind)
        return self._node(("cast", kind, node.index), "cast", (node,), kind)

    def _simplified(self, op: str, args: tuple[Node, ...]) -> Node | None:
        a, b = args[0], args[-1]
        if op == "add":
            if _is(b, 0) or _is(a, 0):
                return a if _is(b, 0) else b
            if b.op == "neg":
                return self.make("sub", a, b.args[0])
        if op == "sub":
            if _is(b, 0):
                return a
            if b.op == "neg":
                return self.make("add", a, b.args[0])
        if op == "mul" and (_is(a, 1) or _is(b, 1)):
            return b if _is(a, 1) else a
        if op == "mul" and _is(b, -1):
            return self.make("neg", a)
        if op == "div" and _is(b, 1):
            return a
        if op == "neg" and a.op == "neg":
            return a.args[0]
        if op == "neg" and a.op == "const":
            return self.const(-a.value, a.kind)
        if op == "where" and args[1] is args[2]:
            return args[1]
        if op == "where" and a.op == "const":
            return args[1] if a.value else args[2]
        if op in ("and", "or") and "const" in (a.op, b.op):
            known, other = (a, b) if a.op == "const" else (b, a)
            return other if bool(known.value) == (op == "and") else known
        return None

    def _key(self, op: str, args: tuple[Node, ...]) -> tuple[object, ...]:
        indices = [arg.index for arg in args]
        return (op, *(sorted(indices) if op in COMMUTATIVE else indices))

    def _node(
        self,
        key: tuple[object, ...],
        op: str,
        args: tuple[Node, ...],
        kind: Kind,
        name: str = "",
        value: Number = 0.0,
    ) -> Node:
        if key not in self._known:
            self._known[key] = Node(len(self._known), op, args, kind, name, value)
        return self._known[key]


def _is(node: Node, value: float) -> bool:
    return node.op == "const" and node.kind == "real" and node.value == value


def reachable(outputs: Iterable[Node], stop: frozenset[Node] = frozenset()) -> list[Node]:
    """The nodes that the outputs need, arguments first. The search ends at nodes of `stop`."""
    seen: set[Node] = set()
    todo = list(outputs)
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            if node not in stop:
                todo.extend(node.args)
    return sorted(seen, key=lambda node: node.index)
