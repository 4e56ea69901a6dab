"""From the graph to Python source: one printer, two dialects (Numba, Triton).

What a kernel does to one element is printed as plain functions, which its loops then call:

    prepare(parameters)                      what follows from the parameters alone
    step(inputs, states, parameters)         the step
    replay(inputs, states, parameters)       those of the step's values that `pull` needs
    pull(grads, replayed, ...)               the vector-Jacobian product

`replay` is apart from `pull` because it must round exactly as `step` does, so that backward takes
the same spike decisions; `pull` may be compiled with contracted and reordered arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from neurodyn.scan.graph import Node, Number, reachable
from neurodyn.scan.trace import Trace

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=", "and": "&", "or": "|",
}  # fmt: skip
LONGEST_EXPRESSION = 60


@dataclass(frozen=True)
class Dialect:
    """How a language writes an operation that is not infix, a number and a function."""

    name: str
    calls: dict[str, str]
    casts: dict[str, str]
    number: str
    exact: str
    fast: str

    def literal(self, value: Number) -> str:
        if isinstance(value, float):
            special = {"inf": 'float("inf")', "-inf": '-float("inf")', "nan": 'float("nan")'}
            return self.number.format(special.get(repr(value), repr(value)))
        return repr(value)


@dataclass(frozen=True)
class Function:
    """A function of scalars; empty `results` mean that there is nothing to compute."""

    name: str
    arguments: tuple[Node, ...]
    results: tuple[Node, ...]

    def call(self, names: dict[Node, str]) -> str:
        return f"{self.name}({', '.join(names[node] for node in self.arguments)})"


@dataclass(frozen=True)
class Parts:
    """The functions that a kernel's loops are made of, and which gradients `pull` returns."""

    trace: Trace
    wanted: tuple[bool, ...]
    prepare: Function
    step: Function
    replay: Function
    pull: Function
    parameters: tuple[Node, ...]
    """The parameters that the step uses."""

    @property
    def leaves(self) -> tuple[Node, ...]:
        return self.trace.inputs + self.trace.states + self.trace.parameters

    def gradient(self, leaf: Node) -> Node | None:
        """The gradient of a leaf as a node, if it is wanted and not zero."""
        index = self.leaves.index(leaf)
        return self.trace.vjp[index] if self.wanted[index] else None


def split(trace: Trace, wanted: Sequence[bool] | None) -> Parts:
    """Cut the graph into the functions of a kernel.

    Args:
        wanted: which of inputs, states and parameters need a gradient; None for a forward kernel.
            States always get one inside, as it is carried through time.
    """
    n_inputs, n_states = len(trace.inputs), len(trace.states)
    states = range(n_inputs, n_inputs + n_states)
    kept = tuple(wanted is not None and (wanted[i] or i in states) for i in range(len(trace.vjp)))
    gradients = [g for g, w in zip(trace.vjp, kept, strict=True) if w and g is not None]
    forward = reachable(trace.results)
    everything = reachable([*trace.results, *gradients])
    constant = _parameter_only(everything, frozenset(trace.parameters))
    derived = [
        node
        for node in _frontier(everything, constant, [*trace.results, *gradients])
        if node.op not in ("leaf", "const")
    ]
    ready = frozenset(derived)
    in_forward = frozenset(node for node in forward if node not in constant and node.args)
    backward = [node for node in everything if node not in in_forward and node not in constant]
    needed = {arg for node in backward for arg in node.args} | set(gradients)
    replayed = sorted(needed & in_forward, key=lambda node: node.index)

    def function(name: str, results: Iterable[Node], stop: Iterable[Node]) -> Function:
        results, stops = tuple(results), frozenset(stop)
        used = reachable(results, stops)
        arguments = tuple(n for n in used if n.op == "leaf" or (n in stops and n.op != "const"))
        return Function(name, arguments, results)

    parameters = [node for node in everything if node in trace.parameters]
    return Parts(
        trace,
        kept,
        function("prepare", derived, ()),
        function("step", trace.results, ready),
        function("replay", replayed, ready),
        function("pull", gradients, ready | frozenset(replayed)),
        tuple(parameters),
    )


def _parameter_only(nodes: list[Node], parameters: frozenset[Node]) -> frozenset[Node]:
    only: set[Node] = set()
    for node in nodes:
        args = [arg for arg in node.args if arg.op != "const"]
        if node in parameters or (args and all(arg in only for arg in args)):
            only.add(node)
    return frozenset(only)


def _frontier(nodes: list[Node], inside: frozenset[Node], outputs: list[Node]) -> list[Node]:
    used = {arg for node in nodes if node not in inside for arg in node.args} | set(outputs)
    return [node for node in nodes if node in inside and node in used]


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


def print_function(source: Source, function: Function, dialect: Dialect, *, fast: bool) -> None:
    """Write a function: a line for every value that is used twice or is long."""
    names = {node: node.name or f"r{node.index}" for node in function.arguments}
    nodes = reachable(function.results, frozenset(function.arguments))
    uses = Counter(arg for node in nodes if node not in names for arg in set(node.args))
    uses.update(
        Counter(arg for n in nodes if n not in names for arg in n.args if n.args.count(arg) > 1)
    )
    source("", "", dialect.fast if fast else dialect.exact)
    with source.block(f"def {function.name}({', '.join(names.values())}):"):
        for node in nodes:
            if node in names:
                continue
            text = _expression(node, names, dialect)
            atom = node.op == "const"
            if atom or (
                uses[node] == 1 and len(text) < LONGEST_EXPRESSION and node not in function.results
            ):
                names[node] = text if atom or _is_call(node, dialect) else f"({text})"
            else:
                names[node] = f"r{node.index}"
                source(f"{names[node]} = {text}")
        results = [names[node] for node in function.results]
        # One value alone is returned as such: tuples of one are no gain in either dialect.
        source(f"return {', '.join(results)}")


def _is_call(node: Node, dialect: Dialect) -> bool:
    return node.op in dialect.calls or node.op == "cast"


def _expression(node: Node, names: dict[Node, str], dialect: Dialect) -> str:
    if node.op == "const":
        return dialect.literal(node.value)
    if node.op == "leaf":
        return node.name
    args = [names[arg] for arg in node.args]
    if node.op == "cast":
        return dialect.casts[node.kind].format(*args)
    if node.op in dialect.calls:
        return dialect.calls[node.op].format(*args)
    if node.op in INFIX:
        return f"{args[0]} {INFIX[node.op]} {args[1]}"
    return {"neg": "-{0}", "not": "~{0}"}[node.op].format(*args)
