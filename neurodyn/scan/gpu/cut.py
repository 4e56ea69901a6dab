"""A step for the backward kernel: its functions, cut at the step's neck."""

from __future__ import annotations

from collections.abc import Iterable

from neurodyn.step.functions import Function, Functions, neck
from neurodyn.step.graph import COMPARISONS, Node, reachable

DECISIONS = COMPARISONS | {"floor", "ceil", "round", "trunc", "sign", "cast"}


class Cut:
    """The functions of the backward kernel.

    Attributes:
        neck: the node through which everything goes that an input does, if there is one: in most
            neurons the charged membrane.
        charge: gives the neck of a step.
        fire: gives the states after it.
        pull: gives the gradients, from the neck and the states.
        again: whether the neck is all that `fire` needs besides parameters. States then need not
            be kept, but are computed again.
        exact: the nodes that have to round as in the step, as decisions depend on them: spikes, and
            edges of windows. Everything else in `pull` may be fused multiply-adds.
    """

    def __init__(self, functions: Functions) -> None:
        trace, pulled = functions.trace, functions.pull.results
        ready, nexts = set(functions.prepare.results), trace.results[trace.n_outputs :]
        found = neck(functions)
        self.neck = found if found in reachable((*nexts, *pulled)) else None
        kept = {self.neck} if self.neck else set[Node]()
        self.charge = _function("charge", kept, ready)
        self.fire = _function("fire", nexts, ready | kept)
        self.pull = _function("pull", pulled, ready | kept)
        others = {*trace.inputs, *trace.states}
        self.again = bool(self.neck) and not others & {*self.fire.arguments}
        everything = reachable((*trace.results, *pulled))
        decided = [arg for node in everything if node.op in DECISIONS for arg in node.args]
        self.exact = set(reachable(trace.results)) & set(reachable(decided))

    @property
    def kept(self) -> int:
        """Numbers of a step that are kept until the way back."""
        n_states = len(self.fire.results)
        return 1 if self.again else n_states + (self.neck is not None)


def _function(name: str, results: Iterable[Node], stop: set[Node]) -> Function:
    """A function that ends at nodes that are known."""
    results, stops = tuple(results), frozenset(stop)
    used = reachable(results, stops)
    arguments = tuple(n for n in used if n.op == "leaf" or (n in stops and n.op != "const"))
    return Function(name, arguments, results)
