"""The backward kernel: goes over the segments of time from the last to the first.

Within a segment it reads the inputs again and recomputes the states, and then goes back through the
steps and computes the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Body, Kernel, Values
from neurodyn.scan.cpu.rows import Ahead
from neurodyn.scan.cpu.turns import LONG, Stepper
from neurodyn.step.functions import operations, pull_neck
from neurodyn.step.graph import Node, reachable

FLUSH = 256
"""Steps over which float32 sums, one per element, are added up before they go to float64."""
NEST = (
    "for column (in parallel): load parameters; at the end, write the sums of their gradients",
    "    for block:",
    "        for segment of time, from the last: compute its states from those at its start",
    "            for step, from the last: for {lanes} lanes of the column: replay, pull",
)


class Backward(Stepper):
    """The loops of the backward kernel."""

    def __init__(self, kernel: Kernel, inputs: Sequence[Node]) -> None:
        super().__init__(kernel)
        functions = kernel.functions
        self.inputs, self.summed = inputs, functions.summed
        self.learned = [p for p in self.summed if p not in self.states]
        self.grads = {
            leaf: g for leaf in functions.leaves if (g := functions.gradient(leaf)) is not None
        }
        pulled = functions.pull.results
        keeps = self.states and self.neck in reachable((*functions.replay.results, *pulled))
        self.keeps_neck = bool(keeps)
        """Whether the neck of every step of a segment is kept in memory, besides the states. Then
        the way back does not compute it again."""
        known = (*functions.leaves, self.neck) if self.neck and keeps else functions.leaves
        self.known_neck = {self.neck} if self.neck and keeps else set[Node]()
        self.pull_neck = pull_neck(functions) if operations(pulled, known) >= LONG else None
        """Where `pull` is cut in two, if it is long."""
        self.rows = [p for p in self.learned if kernel.kinds[p] == "row"]
        """Parameters whose gradients are summed element by element, over all blocks."""
        self.carried = [*self.states, *(p for p in self.learned if kernel.kinds[p] == "full")]
        """States and parameters whose gradients, element by element, are those of one block."""
        self.late = {p for p in self.learned if self._same_over_sum(p)}
        """Parameters whose gradients are multiplied by their factors after they are summed."""
        self.everything = [*inputs, *self.states, *self.learned]
        self.read = self._streams(self.everything, self.known_neck)
        """The sequences that the way back reads."""
        self.wide = {p: self.code.variable("wide") for p in self.summed if kernel.kinds[p] == "one"}
        """Sums over a task, in float64; `narrow` has those over a row, lane by lane."""
        self.narrow = {
            (p, lanes): self.code.variable("real", lanes)
            for p in self.wide
            for lanes in (kernel.lanes, 1)
        }

    def _same_over_sum(self, p: Node) -> bool:
        """Whether the factor of a parameter's gradient is one number wherever the parameter is."""
        kinds, factors = self.kernel.kinds, self.kernel.functions.factors
        if kinds[p] == "full":  # It is not summed.
            return False
        same = ("one",) if kinds[p] == "one" else ("one", "row")
        leaves = reachable((factors[p],)) if p in factors else []
        return all(kinds[leaf] in same for leaf in leaves if leaf in kinds)

    def emit(self) -> None:
        kernel, code = self.kernel, self.code
        kernel.nest = tuple(line.format(lanes=kernel.lanes) for line in NEST)
        rows: dict[str, int | Value] = {f"{leaf}_grad": 1 for leaf in (*self.carried, *self.rows)}
        steps = kernel.at["length"] + 1
        rows |= {str(u): steps for u in self.states} | {"neck": steps, "pull_neck": 1}
        with kernel.scratch(rows), kernel.tasks() as task:
            for total in self.wide.values():
                total.set(0.0)
            for p in self.summed:
                if kernel.kinds[p] == "row":
                    self._set_sums(p, lambda j, lanes: code.constant(0.0, "wide", lanes))
            self._clear(self.rows)
            every = code.integer(FLUSH - 1) // kernel.at["steps"] + 1
            with kernel.blocks() as self.o:
                self._block()
                with code.builder.if_then((self.o % every == 0).ir):
                    self._flush()
            self._flush()
            for p, total in self.wide.items():
                value = self._scaled(p, total.get(), kernel.single)
                code.store(value, kernel.tensors[f"sum_{p}"].row.address + task * 8)

    def _block(self) -> None:
        """Backward through time, for one column of one block."""
        kernel, code, at, o = self.kernel, self.code, self.kernel.at, self.o
        self._clear(self.carried)
        for u, g in zip(self.states, self.trace.grads[self.trace.n_outputs :], strict=True):
            with code.builder.if_then((kernel.tensors[str(g)].row.address != 0).ir):
                kernel.copy(kernel.row(str(g), o).load, kernel.memory[f"{u}_grad"])
        last = (at["steps"] - 1) // at["length"]
        with code.range("segment", last, code.integer(-1), -1) as segment:
            self._segment(segment)
        for leaf in self.carried:
            if leaf in self.summed:
                self._add_block(leaf)

    def _segment(self, segment: Value) -> None:
        """The states of a segment, forward, and then its gradients, backward."""
        kernel, code = self.kernel, self.code
        for u in self.states:
            with code.builder.if_else((segment != 0).ir) as (then, otherwise):
                with then:
                    checkpoint = kernel.checkpoint(u, segment, self.o)
                    kernel.copy(checkpoint.load, kernel.memory[str(u)])
                with otherwise:
                    kernel.copy(kernel.initial(u, self.o), kernel.memory[str(u)])
        begin, end = kernel.span(segment)
        if self.states:
            stop = end if self.keeps_neck else end - 1
            turn = kernel.ahead(self.read, end - 1, self.o)
            with code.range("t", begin, stop) as t:
                ahead = kernel.ahead(self.trace.inputs, t + 1, self.o)
                self._replay(t, t - begin, ahead.unless(t + 1 >= stop, turn))
        after = self._after(segment)
        with code.range("t", end - 1, begin - 1, -1) as t:
            ahead = kernel.ahead(self.read, t - 1, self.o)
            self._pull(t, t - begin, ahead.unless(t <= begin, after))

    def _after(self, segment: Value) -> Ahead:
        """The rows that are read first once this segment is done: of the segment before it, or of
        the last segment of the next block."""
        kernel, at, last = self.kernel, self.kernel.at, self.kernel.at["steps"] - 1
        if self.states:  # Read first to compute the states, from the segment's first step on.
            leaves: Sequence[Node] = self.trace.inputs
            before, end = (segment - 1) * at["length"], last // at["length"] * at["length"]
        else:
            leaves, before, end = self.read, segment * at["length"] - 1, last
        following = kernel.ahead(leaves, end, *kernel.next)
        return kernel.ahead(leaves, before, self.o).unless(segment <= 0, following)

    def _streams(self, leaves: Sequence[Node], known: set[Node]) -> list[Node]:
        """The sequences that the gradients of leaves are computed from."""
        trace = self.trace
        gradients = [self.grads[leaf] for leaf in leaves if leaf in self.grads]
        nodes = reachable(gradients, frozenset(known))
        return [x for x in (*trace.inputs, *trace.grads[: trace.n_outputs]) if x in nodes]

    def _replay(self, t: Value, i: Value, ahead: Ahead) -> None:
        """The states after the `i`-th step of a segment, from those before it."""
        after = self.trace.results[self.trace.n_outputs :]

        def finish(results: list[Value], j: Value, lanes: int) -> None:
            for u, value in zip(self.states, results, strict=True):
                self.kernel.keep(value, str(u), j, lanes, i + 1)

        self.step(after, finish, self.o, t, i, ahead=ahead, keep_neck=self.keeps_neck)

    def _pull(self, t: Value, i: Value, ahead: Ahead) -> None:
        """The gradients of a step, from those of the step after it; in one loop or two."""
        kernel, trace, cut = self.kernel, self.trace, self.pull_neck
        after, everything = trace.grads[trace.n_outputs :], self.everything
        late = [
            leaf
            for leaf in everything
            if leaf in self.states or cut in reachable((self.grads[leaf],))[:-1]
        ]
        again = self._streams(late, self.known_neck | {cut}) if cut else []

        def known(j: Value, lanes: int) -> Values:
            found = self.known(self.o, j, lanes, i)
            for neck in self.known_neck:
                found[neck] = kernel.kept("neck", j, lanes, i)
            for g, u in zip(after, self.states, strict=True):
                found[g] = kernel.kept(f"{u}_grad", j, lanes)
            return found

        def streamed(leaves: Sequence[Node], j: Value, lanes: int) -> Values:
            return known(j, lanes) | {x: kernel.stream(x, self.o, t, j, lanes) for x in leaves}

        def whole(j: Value, lanes: int) -> None:
            ahead.fetch(j, lanes)
            self._finish(everything, streamed(self.read, j, lanes), t, j, lanes)

        def first(j: Value, lanes: int) -> None:
            assert cut is not None
            found = streamed(self.read, j, lanes)
            (value,) = self._solve([cut], found, lanes)
            kernel.keep(value, "pull_neck", j, lanes)
            self._finish([leaf for leaf in everything if leaf not in late], found, t, j, lanes)

        def second(j: Value, lanes: int) -> None:
            assert cut is not None
            ahead.fetch(j, lanes)
            found = streamed(again, j, lanes) | {cut: kernel.kept("pull_neck", j, lanes)}
            self._finish(late, found, t, j, lanes)

        one = [p for p in self.learned if p in self.wide]
        self._summed(one, *((first, second) if cut else (whole,)))

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
                self._add(leaf, known[self.grads[leaf]], j, lanes)

    def _add(self, p: Node, grad: Value, j: Value, lanes: int) -> None:
        """Add the gradient of a parameter at some elements to its sums."""
        kernel = self.kernel
        if p in kernel.functions.factors and p not in self.late:
            grad = grad * self._factor(p, kernel.parameters(self.o, j, lanes), lanes)
        grad = self.code.repeated(grad, lanes)
        if p in self.wide:
            with self.code.exactly(False):
                self.narrow[p, lanes].add(grad)
        else:
            row = kernel.memory[f"{p}_grad"]
            row.store(row.load(j, lanes) + grad, j, lanes)

    def _summed(self, leaves: Sequence[Node], *bodies: Body) -> None:
        """A loop over a row; its sums by lane are added to the task's, in float64."""
        sums = [(p, self.narrow[p, lanes]) for p in leaves for lanes in (self.kernel.lanes, 1)]
        for _, narrow in sums:
            narrow.set(0.0)
        self.kernel.elements(*bodies, writing=True)
        for p, narrow in sums:
            self.wide[p].add(self.code.total(narrow.get()))

    def _clear(self, leaves: Sequence[Node]) -> None:
        """Set the gradients of these in memory to zero."""
        zero = self.code.constant(0.0, "real")
        for leaf in leaves:
            self.kernel.copy(lambda j, lanes: zero, self.kernel.memory[f"{leaf}_grad"])

    def _flush(self) -> None:
        """Add the gradients of parameters, element by element, to their sums in float64."""
        for p in self.rows:
            self._add_row(p)
        self._clear(self.rows)

    def _add_block(self, leaf: Node) -> None:
        """Add the gradients that one block has to the sums over blocks."""
        kernel, kind = self.kernel, self.kernel.kinds[leaf]
        grad = kernel.memory[f"{leaf}_grad"].load
        if kind == "full":
            kernel.copy(grad, kernel.row(f"sum_{leaf}", self.o))
        elif kind == "row":
            self._add_row(leaf)
        else:
            self._summed([leaf], lambda j, lanes: self._add(leaf, grad(j, lanes), j, lanes))

    def _add_row(self, leaf: Node) -> None:
        grad, code = self.kernel.memory[f"{leaf}_grad"].load, self.code

        def total(j: Value, lanes: int) -> Value:
            known = self.kernel.parameters(self.o, j, lanes)
            value = self._scaled(leaf, code.cast(grad(j, lanes), "wide"), known, lanes)
            return code.load(self._sum(leaf, j), "wide", lanes) + value

        self._set_sums(leaf, total)

    def _scaled(self, p: Node, total: Value, known: Values, lanes: int = 1) -> Value:
        """A sum in float64, times the factor of the parameter's gradient."""
        if p not in self.late or p not in self.kernel.functions.factors:
            return total
        return total * self.code.cast(self._factor(p, known, lanes), "wide")

    def _factor(self, p: Node, known: Values, lanes: int) -> Value:
        factor = self.kernel.functions.factors[p]
        (value,) = self.kernel.evaluate([factor], dict(known), exact=True, lanes=lanes)
        return self.code.repeated(value, lanes)

    def _sum(self, leaf: Node, j: Value) -> Value:
        """The address of a sum, of a parameter that has one number per element."""
        tensor = self.kernel.tensors[f"sum_{leaf}"]
        return tensor.row.address + (self.kernel.group * tensor.block + self.kernel.q + j) * 8

    def _set_sums(self, leaf: Node, value: Callable[[Value, int], Value]) -> None:
        self.kernel.elements(lambda j, lanes: self.code.store(value(j, lanes), self._sum(leaf, j)))
