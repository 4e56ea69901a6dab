"""The backward kernel: goes over the segments of time from the last to the first.

Within a segment it reads the inputs again and recomputes the states, and then goes back through the
steps and computes the gradients. The first way keeps the values of a step that take long, and
the second loads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from neurodyn.scan.cpu.evaluate import is_long
from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
from neurodyn.scan.cpu.rows import AHEAD, Ahead
from neurodyn.scan.cpu.stepper import Stepper
from neurodyn.scan.cpu.sums import Sums
from neurodyn.step.graph import Node, reachable

NEST = (
    "for column (in parallel): load parameters; at the end, write the sums of their gradients",
    "    for block:",
    "        for segment of time, from the last: compute its states from those at its start",
    "            for step, from the last: for {lanes} lanes of the column: replay, pull",
)


class Backward(Stepper):
    """The loops of the backward kernel."""

    nest: tuple[str, ...] = NEST
    to_the_end = False
    """Whether the states after a segment's last step are needed as well."""

    def __init__(self, kernel: Kernel, inputs: Sequence[Node]) -> None:
        super().__init__(kernel)
        functions = kernel.functions
        self.inputs, self.sums = inputs, Sums(kernel, self.given)
        self.grads = {
            leaf: g for leaf in functions.leaves if (g := functions.gradient(leaf)) is not None
        }
        self.held = self._held() if self.states else {}
        """Values that are kept in memory for every step of a segment, besides the states, and the
        names of their rows. The way back does not compute them again."""
        self.carried = [*self.states, *self.sums.full]
        """States and parameters whose gradients, element by element, are those of one block."""
        self.everything = [*inputs, *self.states, *self.sums.learned]
        self.read = self._streams(self.everything)
        """The sequences that the way back reads."""

    def _held(self) -> dict[Node, str]:
        """The neck, and the long functions that both states and gradients are computed from.

        Where gradients need a long function, they rarely need what it is computed from; so the
        search ends there.
        """
        functions, trace = self.kernel.functions, self.trace
        used = reachable((*functions.replay.results, *functions.pull.results))
        held = {self.neck: "neck"} if self.neck and self.neck in used else {}
        ready = frozenset(functions.prepare.results)
        known, states = ready | {*held}, reachable(trace.results[trace.n_outputs :], ready)
        long = {n for n in states if n not in known and is_long(n, trace.definitions)}
        met = reachable(functions.pull.results, known | long)
        return held | {node: f"r{node.index}" for node in met if node in long}

    def emit(self) -> None:
        kernel = self.kernel
        kernel.nest = tuple(line.format(lanes=kernel.lanes) for line in self.nest)
        sums = [f"{p}_grad" for p in self.sums.rows]
        with self.tasks(self._memory(), sums) as task:
            kernel.side_by_side([*self.held.values()])
            self.sums.begin()
            self._blocks()
            self.sums.end(task, self.o)

    def _memory(self) -> dict[str, int | Value]:
        """The rows in memory: how many there are of each."""
        rows = dict.fromkeys([f"{leaf}_grad" for leaf in self.carried], 1)
        steps = self.kernel.at["length"] + 1
        return rows | {str(u): steps for u in (*self.states, *self.held.values())}

    def _blocks(self) -> None:
        """Backward through time, for one column of a task's blocks."""
        kernel, code = self.kernel, self.code
        with kernel.blocks() as self.o:
            self._begin()
            with self._segments() as segment:
                self._restore(segment)
                begin, end = kernel.span(segment)
                self._replays(begin, end)
                with code.range("t", end - 1, begin - 1, -1) as t:
                    later = t - AHEAD
                    after = self._after(segment, begin - 1 - later)
                    ahead = kernel.ahead(self.read, later, self.o)
                    self._pull(t, t - begin, ahead.unless(later < begin, after))
            self._end()
            self.sums.after_block(self.o)

    def _segments(self) -> AbstractContextManager[Value]:
        """The loop over segments, from the last."""
        last = (self.kernel.at["steps"] - 1) // self.kernel.at["length"]
        return self.code.range("segment", last, self.code.integer(-1), -1)

    def _begin(self) -> None:
        """The gradients after the last step."""
        kernel, code, o = self.kernel, self.code, self.o
        self.sums.clear(self.carried)
        for u, g in zip(self.states, self.trace.grads[self.trace.n_outputs :], strict=True):
            with code.builder.if_then((kernel.tensors[str(g)].row.address != 0).ir):
                kernel.copy(kernel.row(str(g), o).load, kernel.memory[f"{u}_grad"])

    def _end(self) -> None:
        """The gradients before the first step."""
        for leaf in self.carried:
            if leaf in self.sums.summed:
                self.sums.add_block(leaf, self.o)

    def _restore(self, segment: Value) -> None:
        """The states at the start of a segment."""
        kernel, code = self.kernel, self.code
        for u in self.states:
            with code.builder.if_else((segment != 0).ir) as (then, otherwise):
                with then:
                    checkpoint = kernel.checkpoint(u, segment, self.o)
                    kernel.copy(checkpoint.load, kernel.memory[str(u)])
                with otherwise:
                    kernel.copy(self.given.initial(u, self.o), kernel.memory[str(u)])

    def _replays(self, begin: Value, end: Value) -> None:
        """The states after each step of a segment."""
        kernel = self.kernel
        if self.states:
            stop = end if self.held or self.to_the_end else end - 1
            with self.code.range("t", begin, stop) as t:
                later = t + AHEAD
                turn = kernel.ahead(self.read, end - 1 - (later - stop), self.o)
                ahead = kernel.ahead(self.trace.inputs, later, self.o)
                self._replay(t, t - begin, ahead.unless(later >= stop, turn))

    def _after(self, segment: Value, i: Value) -> Ahead:
        """The rows that are read `i` rows after this segment is done: of the segment before it, or
        of the last segment of the next block."""
        kernel, at, last = self.kernel, self.kernel.at, self.kernel.at["steps"] - 1
        if self.states:  # Read first to compute the states, from the segment's first step on.
            leaves: Sequence[Node] = self.trace.inputs
            before, end = (segment - 1) * at["length"] + i, last // at["length"] * at["length"] + i
        else:
            leaves, before, end = self.read, segment * at["length"] - 1 - i, last - i
        following = kernel.ahead(leaves, end, *kernel.next)
        return kernel.ahead(leaves, before, self.o).unless(segment <= 0, following)

    def _streams(self, leaves: Sequence[Node]) -> list[Node]:
        """The sequences that the gradients of leaves are computed from."""
        trace = self.trace
        gradients = [self.grads[leaf] for leaf in leaves if leaf in self.grads]
        nodes = reachable(gradients, frozenset(self.held))
        return [x for x in (*trace.inputs, *trace.grads[: trace.n_outputs]) if x in nodes]

    def _replay(self, t: Value, i: Value, ahead: Ahead) -> None:
        """The states after the `i`-th step of a segment, from those before it."""
        kernel, after = self.kernel, self.trace.results[self.trace.n_outputs :]

        def finish(results: list[Value], j: Value, lanes: int) -> None:
            for u, value in zip(self.states, results, strict=False):
                kernel.keep(value, str(u), j, lanes, i + 1)
            for name, value in zip(self.held.values(), results[len(after) :], strict=True):
                kernel.keep(value, name, j, lanes, i)

        self.step((*after, *self.held), finish, self.o, t, i, ahead=ahead)

    def _pull(self, t: Value, i: Value, ahead: Ahead, some: Sequence[Node] | None = None) -> None:
        """The gradients of a step, or `some` of them, from those of the step after it."""
        kernel, trace = self.kernel, self.trace
        after = trace.grads[trace.n_outputs :]
        wanted = self.everything if some is None else some
        read = self.read if some is None else self._streams(some)

        def body(j: Value, lanes: int) -> None:
            ahead.fetch(j, lanes)
            known = self.known(self.o, j, lanes, i)
            known |= {node: kernel.kept(name, j, lanes, i) for node, name in self.held.items()}
            for g, u in zip(after, self.states, strict=True):
                known[g] = kernel.kept(f"{u}_grad", j, lanes)
            known |= {x: kernel.stream(x, self.o, t, j, lanes) for x in read}
            self._finish(wanted, known, t, j, lanes)

        self.sums.over([p for p in self.sums.learned if p in wanted], body)

    def _solve(self, nodes: Sequence[Node], known: Values, lanes: int) -> list[Value]:
        """Gradients: the step's values exactly as in the step, everything else fast."""
        kernel = self.kernel
        needed = frozenset(reachable(nodes, frozenset(known)))
        replayed = [node for node in kernel.functions.replay.results if node in needed]
        kernel.evaluate(replayed, known, exact=True, lanes=lanes)
        return kernel.evaluate(nodes, known, exact=False, lanes=lanes)

    def _finish(
        self, leaves: Sequence[Node], known: Values, t: Value, j: Value, lanes: int
    ) -> None:
        """Compute gradients, and write, keep or sum them."""
        kernel = self.kernel
        self._solve([self.grads[leaf] for leaf in leaves if leaf in self.grads], known, lanes)
        for leaf in leaves:
            if leaf in self.inputs:
                row = kernel.row(f"grad_{leaf}", self.o, t)
                kernel.write(known[self.grads[leaf]], row, j, lanes)
            elif leaf in self.states:
                zero = self.code.constant(0.0, "real")
                value = known[self.grads[leaf]] if leaf in self.grads else zero
                kernel.keep(value, f"{leaf}_grad", j, lanes)
            else:
                self.sums.add(leaf, known[self.grads[leaf]], self.o, j, lanes)
