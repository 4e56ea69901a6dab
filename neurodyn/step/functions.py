"""The functions that a kernel's loops are made of, cut out of the graph of a step:

    prepare(parameters)                      what follows from the parameters alone
    step(inputs, states, parameters)         the step
    replay(inputs, states, parameters)       the values of the step that `pull` needs
    pull(grads, replayed, ...)               the vector-Jacobian product
    scale(parameters)                        factors of the parameters' gradients

A parameter's gradient is a sum over time. A factor that follows from parameters alone is taken out
of it: `pull` gives the terms without the factor, and `scale` gives the factor.

`replay` must round exactly as `step` does, so that backward sees the same spikes. `pull` may be
compiled with contracted and reordered arithmetic. So they are two functions.

A step's *neck* is the node that every path from an input to a result passes through. In most
neurons it is the charged membrane.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from neurodyn.step.graph import Node, reachable
from neurodyn.step.relaxed import Factors, parameter_only
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
    """The functions of a kernel."""

    trace: Trace
    prepare: Function
    step: Function
    replay: Function
    pull: Function
    scale: Function
    pulled: Mapping[Node, Node]
    """The results of `pull`, by the leaf whose gradient they are."""
    factors: Mapping[Node, Node]
    """The results of `scale`, by parameter; parameters without one have the factor 1."""
    parameters: tuple[Node, ...]
    """The parameters that the step uses."""
    summed: tuple[Node, ...]
    """The initial states and parameters whose gradients are results of the kernel."""

    @property
    def leaves(self) -> tuple[Node, ...]:
        return self.trace.inputs + self.trace.states + self.trace.parameters

    def gradient(self, leaf: Node) -> Node | None:
        """The node of a leaf's gradient without its factor; None if it is unwanted or zero."""
        return self.pulled.get(leaf)


def split(trace: Trace, wanted: Sequence[bool] | None) -> Functions:
    """Cut the graph into the functions of a kernel.

    Args:
        wanted: which of the inputs, states and parameters need a gradient; None for a forward
            kernel. States always get one inside the kernel, which carries it through time.
    """
    n_inputs = len(trace.inputs)
    leaves = (*trace.inputs, *trace.states, *trace.parameters)
    given = dict(zip(leaves, wanted or [False] * len(leaves), strict=True))
    carried = () if wanted is None else trace.states
    vjp = {
        leaf: g
        for leaf, g in zip(leaves, trace.vjp, strict=True)
        if g is not None and (given[leaf] or leaf in carried)
    }
    summed = [
        leaf for leaf in leaves[n_inputs:] if given[leaf] and (leaf in vjp or leaf in carried)
    ]
    pulled, factors = _without_factors(trace, vjp)
    gradients, scales = list(pulled.values()), list(factors.values())
    forward = reachable(trace.results)
    everything = reachable([*trace.results, *gradients])
    constant = parameter_only(everything, trace.parameters)
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

    used = frozenset(reachable([*everything, *scales]))
    return Functions(
        trace,
        function("prepare", derived, ()),
        function("step", trace.results, ready),
        function("replay", replayed, ready),
        function("pull", gradients, ready | frozenset(replayed)),
        function("scale", scales, ready),
        pulled,
        factors,
        tuple(p for p in trace.parameters if p in used),
        tuple(summed),
    )


def _without_factors(
    trace: Trace, vjp: Mapping[Node, Node]
) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """The gradients that `pull` gives, and the factors of parameters' gradients that are not 1."""
    others = [g for leaf, g in vjp.items() if leaf not in trace.parameters]
    constant = parameter_only(reachable(vjp.values()), trace.parameters)
    # The neck is kept, so what is in front of it need not be computed for other gradients.
    known = _neck(trace.inputs, trace.results)
    shared = reachable(others, frozenset({known} if known else ()))
    cutter = Factors(trace.builder, constant, frozenset(shared))
    pulled, factors = dict(vjp), dict[Node, Node]()
    for p in trace.parameters:
        if p in vjp:
            pulled[p], factor = cutter.cut(vjp[p])
            if factor is not cutter.one:
                factors[p] = factor
    return pulled, factors


def _frontier(nodes: list[Node], inside: frozenset[Node], outputs: list[Node]) -> list[Node]:
    """The nodes inside that outputs, or nodes outside, use."""
    used = {arg for node in nodes if node not in inside for arg in node.args} | set(outputs)
    return [node for node in nodes if node in inside and node in used]


def neck(functions: Functions) -> Node | None:
    """The node that every path from an input to a result of the step passes through, if any."""
    return _neck(functions.trace.inputs, functions.trace.results)


def _neck(sources: Sequence[Node], results: Sequence[Node]) -> Node | None:
    """The last node that every path from a source to a result passes through."""
    start = frozenset(sources)
    for node in reversed(reachable(results)):
        through = start & frozenset(reachable((node,)))
        beside = start & frozenset(reachable(results, frozenset((node,))))
        if node.args and node.kind == "real" and through and not beside:
            return node
    return None


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
