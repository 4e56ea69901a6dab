"""The kernels of a coupled step: the first state comes back through matrices into inputs.

Neurons of a sample are coupled at every step, samples are not. So a task is a group of samples that
goes through time together: a product for the group, and then the step for one sample after the
other. A column is the whole sample.

A new state may go *onward* through a matrix into an input of the same step. Then the step comes in
two parts with a product between them, and so does its derivative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from neurodyn.scan.cpu.backward import Backward
from neurodyn.scan.cpu.forward import Forward
from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
from neurodyn.scan.cpu.product import Product, Rows
from neurodyn.scan.cpu.rows import Ahead, Row
from neurodyn.step.graph import Node, reachable

FORWARD = (
    "for group of samples (in parallel):",
    "    for segment of time: write the states, if backward will need them",
    "        for step: what comes back, the first state times matrices; for sample:",
    "            for {lanes} lanes: write the total inputs; step",
)
BACKWARD = (
    "for group of samples (in parallel); at the end, write the sums of parameters' gradients",
    "    for segment of time, from the last: for sample: its states from those at its start",
    "        for step, from the last:",
    "            for sample: for {lanes} lanes: replay, pull",
    "            add to the first state's gradient those of inputs times matrices",
)


class Group:
    """The samples of a task, and the rows that each has in memory.

    Args:
        kernel: the kernel.
        counts: how many rows a sample has, by name.
    """

    def __init__(self, kernel: Kernel, counts: Mapping[str, int | Value]) -> None:
        self.kernel, self.counts = kernel, counts
        outer, groups = kernel.at["outer"], kernel.at["groups"]
        self.most = (outer + groups - 1) // groups

    def rows(self) -> dict[str, int | Value]:
        """What `tasks` makes."""
        return {name: self.most * count for name, count in self.counts.items()}

    def enter(self) -> None:
        """Find the samples of this task, inside the loop over tasks."""
        kernel = self.kernel
        outer, groups = kernel.at["outer"], kernel.at["groups"]
        self.start, self.stop = (outer * (kernel.group + i) // groups for i in (0, 1))
        self.size = self.stop - self.start
        self.memory = dict(kernel.memory)

    @contextmanager
    def samples(self) -> Iterator[Value]:
        """A loop over samples; the kernel's memory is the rows of one."""
        kernel = self.kernel
        with kernel.code.range("sample", self.start, self.stop) as o:
            for name, count in self.counts.items():
                place = kernel.row_numbers * count * (o - self.start)
                kernel.memory[name] = self.memory[name].after(place)
            kernel.next = o, kernel.q
            yield o
            kernel.memory = dict(self.memory)

    def own(self, name: str, kind: str = "real") -> Rows:
        """The rows of that name, one per sample."""
        row = Row(self.memory[name].address, kind)
        return Rows(row, self.kernel.row_numbers * self.kernel.size)

    def clear(self, name: str) -> None:
        """Zeros in the current sample's row of that name, and in the padding behind it."""
        kernel, code = self.kernel, self.kernel.code
        with code.range("j", code.integer(0), kernel.row_numbers, kernel.lanes) as j:
            kernel.memory[name].store(code.constant(0.0, "real"), j, kernel.lanes)

    def matrix(self, name: str) -> Rows:
        """The matrix of a product into an input of that name, or of that onward."""
        row = self.kernel.tensors[f"{name}_matrix"].row
        return Rows(row, self.kernel.row_numbers * self.kernel.size)


class CoupledForward(Forward):
    """The loops of the forward kernel.

    Args:
        kernel, outputs: as in `Forward`.
        fed: the inputs into which the first state comes back.
        onward: a new state, and an input of `fed` into which it goes; or nothing.
    """

    nest = FORWARD

    def __init__(
        self, kernel: Kernel, outputs: Sequence[str], fed: Sequence[Node], onward: Sequence[int]
    ) -> None:
        super().__init__(kernel, outputs)
        self.fed, self.product, self.onward = fed, Product(kernel), onward
        if onward:
            trace = self.trace
            self.new, self.into = trace.results[trace.n_outputs + onward[0]], onward[1]
            early, late = reachable((self.new,)), reachable(trace.results, frozenset({self.new}))
            self.early = [x for x in trace.inputs if x in early]
            self.sequences = tuple(x for x in trace.inputs if x in late)

    def emit(self) -> None:
        kernel, code, first = self.kernel, self.code, str(self.states[0])
        kernel.nest = tuple(line.format(lanes=kernel.lanes) for line in self.nest)
        back = [f"{x}_back" for x in self.fed]
        rows = [*map(str, self.states), "masks", *back]
        rows += ["onward"] if self.onward else []
        self.group = group = Group(kernel, dict.fromkeys(rows, 1))
        with self.tasks(group.rows()):
            group.enter()
            with group.samples() as o:
                group.clear(first)
                self._begin(o)
            with code.range("segment", code.integer(0), self._segments()) as segment:
                with group.samples() as o:
                    self._mark(segment, o)
                begin, end = kernel.span(segment)
                with code.range("t", begin, end) as t:
                    self._couple(t)
                    with group.samples() as o:
                        self._step(o, t)
            with group.samples() as o:
                self._end(o)

    def _couple(self, t: Value) -> None:
        """The products of a step."""
        group = self.group
        pairs = [(group.own(f"{x}_back"), group.matrix(str(x))) for x in self.fed]
        first = group.own(str(self.states[0]))
        self.product.sparse(first, pairs, group.own("masks", "int"), group.size)
        if self.onward:
            with group.samples() as o:
                self.kernel.elements(lambda j, lanes: self._charge(o, t, j, lanes))
            pair = group.own("onward"), group.matrix("onward")
            target = group.own(f"{self.trace.inputs[self.into]}_back")
            self.product.dense([pair], target, group.size, onto=True)

    def _charge(self, o: Value, t: Value, j: Value, lanes: int) -> None:
        """The new state that goes onward."""
        known = super().known(o, j, lanes)
        known |= {x: self.incoming(x, o, t, j, lanes) for x in self.early}
        (value,) = self.kernel.evaluate((self.new,), known, exact=True, lanes=lanes)
        self.kernel.keep(value, "onward", j, lanes)

    def known(self, o: Value, j: Value, lanes: int, i: Value | None = None) -> Values:
        """As in every step, and what went onward."""
        known = super().known(o, j, lanes, i)
        return known | ({self.new: self.kernel.kept("onward", j, lanes)} if self.onward else {})

    def incoming(self, leaf: Node, o: Value, t: Value, j: Value, lanes: int) -> Value:
        """An input; into one that is fed goes what comes back, and backward needs the total."""
        value = super().incoming(leaf, o, t, j, lanes)
        if leaf in self.fed:
            value = value + self.kernel.kept(f"{leaf}_back", j, lanes)
            self.kernel.row(f"{leaf}_total", o, t).store(value, j, lanes)
        return value


class CoupledBackward(Backward):
    """The loops of the backward kernel; the inputs that it reads are the totals."""

    nest = BACKWARD

    def __init__(
        self,
        kernel: Kernel,
        inputs: Sequence[Node],
        fed: Sequence[Node],
        onward: Sequence[int],
    ) -> None:
        super().__init__(kernel, inputs)
        self.fed, self.product = [x for x in fed if x in inputs], Product(kernel)
        self.onward = self.to_the_end = bool(onward)
        if onward:
            self.source, self.into = self.states[onward[0]], self.trace.inputs[onward[1]]

    def _memory(self) -> dict[str, int | Value]:
        self.group = Group(self.kernel, super()._memory())
        return self.group.rows()

    def _blocks(self) -> None:
        kernel, group = self.kernel, self.group
        group.enter()
        with group.samples() as self.o:
            for u in self.states:
                group.clear(f"{u}_grad")
            self._begin()
        with self._segments() as segment:
            begin, end = kernel.span(segment)
            with group.samples() as self.o:
                self._restore(segment)
                self._replays(begin, end)
            with self.code.range("t", end - 1, begin - 1, -1) as t:
                late = self._pull_early(t, t - begin) if self.onward else None
                with group.samples() as self.o:
                    self._pull(t, t - begin, kernel.ahead(self.read, t - 1, self.o), late)
                    self._note(t, t - begin)
                self._couple([(x, str(x)) for x in self.fed], self.states[0], t)
            self.sums.flush(self.o)
        with group.samples() as self.o:
            self._end()

    def _pull_early(self, t: Value, i: Value) -> list[Node]:
        """The gradient of the input into which a state went, and what it does to that state's.
        Returns the leaves whose gradients are left."""
        early = [x for x in self.inputs if x is self.into]
        with self.group.samples() as self.o:
            self._pull(t, i, Ahead([]), early)
        self._couple([(x, "onward") for x in early], self.source, t)
        return [leaf for leaf in self.everything if leaf not in early]

    def _note(self, t: Value, i: Value) -> None:
        """Write what the matrices' gradients are made of: the first state before a step, and the
        one that went onward in it."""
        kernel, first = self.kernel, str(self.states[0])
        kernel.copy(kernel.own(first, i).load, kernel.row("before", self.o, t))
        if self.onward:
            after = kernel.own(str(self.source), i + 1)
            kernel.copy(after.load, kernel.row("after", self.o, t))

    def _couple(self, through: Sequence[tuple[Node, str]], state: Node, t: Value) -> None:
        """Add to a state's gradient those of inputs times matrices."""
        kernel, group = self.kernel, self.group
        pairs = []
        for x, name in through:
            stride = kernel.tensors[f"grad_{x}"].block * kernel.size
            source = Rows(kernel.row(f"grad_{x}", group.start, t), stride)
            pairs.append((source, group.matrix(name)))
        if pairs:
            self.product.dense(pairs, group.own(f"{state}_grad"), group.size, onto=True)
