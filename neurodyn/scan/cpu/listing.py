"""The head of a CPU kernel's source: its loops in words, and the functions inside them."""

from __future__ import annotations

from collections.abc import Iterable

from neurodyn.scan.cpu.math import OPERATIONS
from neurodyn.step.functions import Function, Functions
from neurodyn.step.graph import Node, reachable


def listing(name: str, nest: Iterable[str], functions: Functions) -> list[str]:
    """Comment lines; values have the names that their instructions have in the kernel."""
    lines = [f"; {name}", ";", *(f"; {line}" for line in nest)]
    parts = (functions.prepare, functions.step, functions.replay, functions.pull, functions.scale)
    for function in parts:
        if function.results:
            lines += [";", f"; {function.name}({_names(function.arguments)}) -> "]
            lines[-1] += _names(function.results)
            lines += [f";     {line}" for line in _listed(function, functions)]
    return lines


def _listed(function: Function, functions: Functions) -> list[str]:
    given = frozenset(function.arguments)
    return [
        f"{_name(node)} = {node.op}({_names(node.args)})" + _definition(node, functions)
        for node in reachable(function.results, given)
        if node.args and node not in given
    ]


def _definition(node: Node, functions: Functions) -> str:
    """Where the kernel has the value of a function that is made of simpler ones."""
    if node.op in OPERATIONS or node.op == "cast":
        return ""
    return f", which is {_name(functions.trace.definitions[node])}"


def _names(nodes: Iterable[Node]) -> str:
    return ", ".join(map(_name, nodes))


def _name(node: Node) -> str:
    return f"r{node.index}" if node.args else repr(node)
