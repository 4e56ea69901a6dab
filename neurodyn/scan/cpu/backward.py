"""The backward kernel: goes over the segments of time from the last to the first.

Within a segment it reads the inputs again and recomputes the states, and then goes back through the
steps and computes the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Body, Kernel, Values
from neurodyn.scan.cpu.turns import LONG, Stepper
from neurodyn.step.functions import operations, pull_neck
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

    def __init__(self, kernel: Kernel, inputs: Sequence[Node], learned: Sequence[Node]) -> None:
        super().__init__(kernel)
        self.inputs, self.learned, self.sums = inputs, learned, (*self.states, *learned)
        functions = kernel.functions
        self.grads = {
            leaf: g for leaf in functions.leaves if (g := functions.gradient(leaf)) is not None
        }
        pulled = functions.pull.results
        keeps = self.states and self.neck in reachable((*functions.replay.results, *pulled))
        self.keeps_neck = bool(keeps)
        """Whether the neck of every step of a segment is kept in memory, besides the states. Then
        the way back does not compute it again."""
        known = (*functions.leaves, self.neck) if self.neck and keeps else functions.leaves
        self.pull_neck = pull_neck(functions) if operations(pulled, known) >= LONG else None
        """Where `pull` is cut in two, if it is long."""
        self.rows = [p for p in self.sums if p in self.states or kernel.kinds[p] != "one"]
        """States and parameters that have a row of gradients in memory."""
        self.wide = {p: self.code.variable("wide") for p in self.sums if kernel.kinds[p] == "one"}
        """Sums over a task, in float64; `narrow` has those over a row, lane by lane."""
        self.narrow = {
            (p, lanes): self.code.variable("real", max(1, lanes // 2))
            for p in self.wide
            for lanes in (kernel.lanes, 1)
        }

    def emit(self) -> None:
        kernel, code = self.kernel, self.code
        kernel.nest = tuple(line.format(lanes=kernel.lanes) for line in self.nest)
        with kernel.scratch(self._memory()), kernel.tasks() as task:
            for total in self.wide.values():
                total.set(0.0)
            for p in self.sums:
                if kernel.kinds[p] == "row":
                    self._set_sums(p, lambda j, lanes: code.constant(0.0, "wide", lanes))
            self._blocks()
            for p, total in self.wide.items():
                code.store(total.get(), kernel.tensors[f"sum_{p}"].address + task * 8)

    def _memory(self) -> dict[str, int | Value]:
        """The rows of a block in memory: how many there are of each."""
        steps = self.kernel.at["length"] + 1
        rows: dict[str, int | Value] = {f"{leaf}_grad": 1 for leaf in self.rows}
        return rows | {str(u): steps for u in self.states} | {"neck": steps, "pull_neck": 1}

    def _blocks(self) -> None:
        """Backward through time, for one column of a task's blocks."""
        kernel = self.kernel
        with kernel.blocks() as self.o:
            self._begin()
            with self._segments() as segment:
                self._restore(segment)
                begin, end = kernel.span(segment)
                self._replays(begin, end)
                with self.code.range("t", end - 1, begin - 1, -1) as t:
                    self._pull(t, t - begin)
            self._end()

    def _segments(self) -> Any:
        """The loop over segments, from the last."""
        last = (self.kernel.at["steps"] - 1) // self.kernel.at["length"]
        return self.code.range("segment", last, self.code.integer(-1), -1)

    def _begin(self) -> None:
        """The gradients after the last step."""
        kernel, code, o = self.kernel, self.code, self.o
        for leaf in self.rows:
            kernel.copy(lambda j, lanes: code.constant(0.0, "real"), kernel.memory[f"{leaf}_grad"])
        for u, g in zip(self.states, self.trace.grads[self.trace.n_outputs :], strict=True):
            with code.builder.if_then((kernel.tensors[str(g)].address != 0).ir):
                kernel.copy(kernel.reader(kernel.row(str(g), o)), kernel.memory[f"{u}_grad"])

    def _end(self) -> None:
        for leaf in self.sums:
            self._add_block(leaf)

    def _restore(self, segment: Value) -> None:
        """The states at the start of a segment."""
        kernel, code = self.kernel, self.code
        for u in self.states:
            with code.builder.if_else((segment != 0).ir) as (then, otherwise):
                with then:
                    checkpoint = kernel.reader(kernel.checkpoint(u, segment, self.o))
                    kernel.copy(checkpoint, kernel.memory[str(u)])
                with otherwise:
                    kernel.copy(kernel.initial(u, self.o), kernel.memory[str(u)])

    def _replays(self, begin: Value, end: Value) -> None:
        """The states after each step of a segment."""
        if self.states:
            last = end if self.keeps_neck or self.to_the_end else end - 1
            with self.code.range("t", begin, last) as t:
                self._replay(t, t - begin)

    def _replay(self, t: Value, i: Value) -> None:
        """The states after the `i`-th step of a segment, from those before it."""
        after = self.trace.results[self.trace.n_outputs :]

        def finish(results: list[Value], j: Value, lanes: int) -> None:
            for u, value in zip(self.states, results, strict=True):
                self.kernel.keep(value, str(u), j, lanes, i + 1)

        self.step(after, finish, self.o, t, i, keep_neck=self.keeps_neck)

    def _pull(self, t: Value, i: Value, some: Sequence[Node] | None = None) -> None:
        """The gradients of a step, from those of the step after it; in one loop or two, or `some`
        of them in one."""
        kernel, trace = self.kernel, self.trace
        cut = self.pull_neck if some is None else None
        after = trace.grads[trace.n_outputs :]
        sequences = [*trace.inputs, *trace.grads[: trace.n_outputs]]
        kept = {self.neck} if self.neck and self.keeps_neck else set()
        everything = [*self.inputs, *self.sums] if some is None else some
        late = [
            leaf
            for leaf in everything
            if leaf in self.states or cut in reachable((self.grads[leaf],))[:-1]
        ]

        def needed(leaves: Sequence[Node], known: set[Node]) -> list[Node]:
            gradients = [self.grads[leaf] for leaf in leaves if leaf in self.grads]
            nodes = reachable(gradients, frozenset(known))
            return [leaf for leaf in sequences if leaf in nodes]

        read = needed(everything, kept)
        again = needed(late, kept | {cut}) if cut else []

        def known(j: Value, lanes: int) -> Values:
            found = self.known(self.o, j, lanes, i)
            for neck in kept:
                found[neck] = kernel.kept("neck", j, lanes, i)
            for g, u in zip(after, self.states, strict=True):
                found[g] = kernel.load(kernel.memory[f"{u}_grad"], j, lanes, str(g))
            return found

        def streamed(leaves: Sequence[Node], j: Value, lanes: int) -> Values:
            return known(j, lanes) | {x: kernel.stream(x, self.o, t, j, lanes) for x in leaves}

        def whole(j: Value, lanes: int) -> None:
            kernel.fetch(read, self.o, t - 1, j, lanes)
            self._finish(everything, streamed(read, j, lanes), t, j, lanes)

        def first(j: Value, lanes: int) -> None:
            assert cut is not None
            found = streamed(read, j, lanes)
            (value,) = self._solve([cut], found, lanes)
            kernel.keep(value, "pull_neck", j, lanes)
            self._finish([leaf for leaf in everything if leaf not in late], found, t, j, lanes)

        def second(j: Value, lanes: int) -> None:
            assert cut is not None
            kernel.fetch(read, self.o, t - 1, j, lanes)
            found = streamed(again, j, lanes) | {cut: kernel.kept("pull_neck", j, lanes)}
            self._finish(late, found, t, j, lanes)

        one = [p for p in self.learned if p in self.wide and p in everything]
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
        grad = self.code.repeated(grad, lanes)
        if p in self.wide:
            with self.code.exactly(False):
                self.narrow[p, lanes].add(self.code.folded(grad))
        else:
            row = kernel.memory[f"{p}_grad"]
            kernel.store(kernel.load(row, j, lanes) + grad, row, j, lanes)

    def _summed(self, leaves: Sequence[Node], *bodies: Body) -> None:
        """A loop over a row; its sums by lane are added to the task's, in float64."""
        sums = [(p, self.narrow[p, lanes]) for p in leaves for lanes in (self.kernel.lanes, 1)]
        for _, narrow in sums:
            narrow.set(0.0)
        self.kernel.elements(*bodies, writing=True)
        for p, narrow in sums:
            self.wide[p].add(self.code.total(narrow.get()))

    def _add_block(self, leaf: Node) -> None:
        """Add the gradients of a block to the sums over blocks."""
        kernel, kind = self.kernel, self.kernel.kinds[leaf]
        if leaf not in self.rows:
            return
        grad = kernel.reader(kernel.memory[f"{leaf}_grad"])
        if kind == "full":
            kernel.copy(grad, kernel.row(f"sum_{leaf}", self.o))
        elif kind == "row":
            self._set_sums(
                leaf,
                lambda j, lanes: (
                    self.code.load(self._sum(leaf, j), "wide", lanes)
                    + self.code.cast(grad(j, lanes), "wide")
                ),
            )
        else:
            self._summed([leaf], lambda j, lanes: self._add(leaf, grad(j, lanes), j, lanes))

    def _sum(self, leaf: Node, j: Value) -> Value:
        """The address of a sum, of a parameter that has one number per element."""
        tensor = self.kernel.tensors[f"sum_{leaf}"]
        return tensor.address + (self.kernel.group * tensor.block + self.kernel.q + j) * 8

    def _set_sums(self, leaf: Node, value: Callable[[Value, int], Value]) -> None:
        self.kernel.elements(lambda j, lanes: self.code.store(value(j, lanes), self._sum(leaf, j)))
