"""The functions that a kernel's loops are made of, cut out of the graph of a step:

    prepare(parameters)                      what follows from the parameters alone
    step(inputs, states, parameters)         the step
    replay(inputs, states, parameters)       the values of the step that `pull` needs
    pull(grads, replayed, ...)               the vector-Jacobian product

`replay` must round exactly as `step` does, so that backward sees the same spikes. `pull` may be
compiled with contracted and reordered arithmetic. So they are two functions.

A step's *neck* is the node that every path from an input to a result passes through. In most
neurons it is the charged membrane. `pull` has one too: in most neurons, the charged membrane's
gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neurodyn.step.graph import Node, reachable
from neurodyn.step.trace import Trace


@dataclass(frozen=True)
class Function:
    """A function of scalars; with empty `results`, it computes nothing and is not written."""

    name: str
    arguments: tuple[Node, ...]
    results: tuple[Node, ...]

    def call(self, names: dict[Node, str]) -> str:
        return f"{self.name}({', '.join(names[node] for node in self.arguments)})"


@dataclass(frozen=True)
class Functions:
    """The functions of a kernel, and whose gradients are `wanted` of `pull`."""

    trace: Trace
    wanted: tuple[bool, ...]
    prepare: Function
    step: Function
    replay: Function
    pull: Function
    parameters: tuple[Node, ...]
    """The parameters that the step uses."""
    summed: tuple[Node, ...]
    """The initial states and parameters whose gradients are results of the kernel."""

    @property
    def leaves(self) -> tuple[Node, ...]:
        return self.trace.inputs + self.trace.states + self.trace.parameters

    def gradient(self, leaf: Node) -> Node | None:
        """The gradient of a leaf as a node, if it is wanted and not zero."""
        index = self.leaves.index(leaf)
        return self.trace.vjp[index] if self.wanted[index] else None


def split(trace: Trace, wanted: Sequence[bool] | None) -> Functions:
    """Cut the graph into the functions of a kernel.

    Args:
        wanted: which of the inputs, states and parameters need a gradient; None for a forward
            kernel. States always get one inside the kernel, which carries it through time.
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
    leaves = (*trace.inputs, *trace.states, *trace.parameters)
    summed = [
        leaf
        for i, leaf in enumerate(leaves)
        if i >= n_inputs and wanted is not None and wanted[i] and (trace.vjp[i] or i in states)
    ]
    return Functions(
        trace,
        kept,
        function("prepare", derived, ()),
        function("step", trace.results, ready),
        function("replay", replayed, ready),
        function("pull", gradients, ready | frozenset(replayed)),
        tuple(parameters),
        tuple(summed),
    )


def _parameter_only(nodes: list[Node], parameters: frozenset[Node]) -> frozenset[Node]:
    """The nodes that follow from parameters alone."""
    only: set[Node] = set()
    for node in nodes:
        args = [arg for arg in node.args if arg.op != "const"]
        if node in parameters or (args and all(arg in only for arg in args)):
            only.add(node)
    return frozenset(only)


def _frontier(nodes: list[Node], inside: frozenset[Node], outputs: list[Node]) -> list[Node]:
    """The nodes inside that outputs, or nodes outside, use."""
    used = {arg for node in nodes if node not in inside for arg in node.args} | set(outputs)
    return [node for node in nodes if node in inside and node in used]


def neck(functions: Functions) -> Node | None:
    """The node that every path from an input to a result of the step passes through, if any."""
    return _neck(functions.trace.inputs, functions.trace.results)


def pull_neck(functions: Functions) -> Node | None:
    """The node that every path from an output's gradient to a gradient of an input or state passes
    through, if any."""
    trace = functions.trace
    grads = [
        g for leaf in trace.inputs + trace.states if (g := functions.gradient(leaf)) is not None
    ]
    return _neck(trace.grads[: trace.n_outputs], grads)


def _neck(sources: Sequence[Node], results: Sequence[Node]) -> Node | None:
    """The last node that every path from a source to a result passes through."""
    start = frozenset(sources)
    for node in reversed(reachable(results)):
        through = start & frozenset(reachable((node,)))
        beside = start & frozenset(reachable(results, frozenset((node,))))
        if node.args and node.kind == "real" and through and not beside:
            return node
    return None


def operations(results: Iterable[Node], known: Iterable[Node] = ()) -> int:
    """The number of operations from what is known to the results."""
    stop = frozenset(known)
    return sum(bool(node.args) and node not in stop for node in reachable(results, stop))


def arithmetic(function: Function) -> tuple[int, int]:
    """A function's multiplications and additions.

    Divisions count as multiplications, subtractions as additions. Comparisons and transcendental
    functions are not counted.
    """
    given = frozenset(function.arguments)
    done = [node.op for node in reachable(function.results, given) if node not in given]
    return (
        sum(op in ("mul", "div", "pow") for op in done),
        sum(op in ("add", "sub") for op in done),
    )
