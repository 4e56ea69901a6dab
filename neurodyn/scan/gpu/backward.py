"""The backward kernel: goes over the segments of time from the last to the first.

At the start of a segment it loads all that the segment needs. It computes the states from those at
the segment's start, and keeps the *neck* of every step, through which everything goes that an input
does (in most neurons the charged membrane). Then it goes back through the steps. What the gradients
need besides the neck is computed from it and the states, with fused multiply-adds: no spike depends
on it any more.

A parameter's gradient is summed over time, over the elements of a thread and over the blocks of a
group in registers, and then written.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext

from neurodyn.scan.gpu.cut import Cut
from neurodyn.scan.gpu.loops import Guard, Kernel
from neurodyn.scan.gpu.triton import print_function
from neurodyn.scan.gpu.walk import Form
from neurodyn.step.functions import Functions
from neurodyn.step.graph import Node, reachable


class Backward(Kernel):
    """The loops of the backward kernel."""

    name = "backward"
    nest = (
        "for column, group (in parallel): load parameters; at the end, write sums of gradients",
        "    for block of the group:",
        "        for segment of {length} steps, from the last: load states, inputs, gradients",
        "            for step (unrolled): charge, fire; necks and states stay in registers",
        "            for step (unrolled), from the last: pull, write the inputs' gradients",
    )

    def __init__(self, functions: Functions, form: Form) -> None:
        super().__init__(functions, form)
        trace, gradient = self.trace, functions.gradient
        self.inputs = [x for x in trace.inputs if gradient(x)]
        self.learned = [p for p in functions.parameters if gradient(p)]
        """Parameters whose gradients are wanted."""
        self.grads = trace.grads[: trace.n_outputs]
        self.finals = dict(zip(trace.states, trace.grads[trace.n_outputs :], strict=True))
        self.cut = cut = Cut(functions)
        late = [p for p in cut.fire.arguments if p in functions.parameters]
        self.twins = {p: f"{p}_twin" for p in late if self.kinds[p] != "full"}
        """The names of parameters on the way back. Each is loaded twice. A compiler that knew both
        to be equal would not compute anything again, but keep it all in registers."""
        self.late = {p for p in functions.factors if self._same_over_sum(p)}
        """Parameters whose gradients are multiplied by their factors after they are summed."""

    def _same_over_sum(self, p: Node) -> bool:
        """Whether the factor of a parameter's gradient is one number wherever the parameter is."""
        if self.kinds[p] == "full":
            return True
        same = {"single", "one"} if self.kinds[p] != "row" else {"single", "one", "row"}
        leaves = reachable((self.functions.factors[p],))
        return all(self.kinds[leaf] in same for leaf in leaves if leaf in self.kinds)

    def reads(self, leaf: Node) -> bool:
        return leaf not in self.trace.states or not self.form.checkpoints

    def text(self) -> str:
        """The module's source."""
        put, states, form = self.put, self.trace.states, self.form
        fresh = [f"{u}_checkpoints" for u in states] if form.checkpoints else []
        fresh += [f"grad_{x}" for x in self.inputs]
        fresh += [f"sum_{leaf}" for leaf in self.functions.summed]
        self.open()
        self.functions_of(self.functions.prepare, self.cut.charge, self.cut.fire)
        if self.cut.pull.results:
            print_function(put, self.cut.pull, self.trace.definitions, self.cut.exact)
        self.functions_of(self.functions.scale)
        self.head(self.grads, [str(g) for g in self.finals.values()] * form.finals, fresh)
        with put:
            self.begin()
            self._load_twins()
            self._clear(leaf for leaf in self.functions.summed if self.kinds[leaf] != "full")
            with self.blocks():
                self._block()
            self._factors(p for p in self.learned if self.kinds[p] != "full")
            for leaf in self.functions.summed:
                self._write_sum(leaf)
        return put.text()

    def _block(self) -> None:
        """Backward through time, for one block."""
        put, states, form = self.put, self.trace.states, self.form
        self.of_block()
        self._clear(p for p in self.learned if self.kinds[p] == "full")
        for u, g in self.finals.items():
            place = "at" if form.dense else f"(wide + o) * {g}_o"
            given = f"{self.loaded(f'{g}_p', place)}.to(tl.float32)"
            put(f"{u}_grad = {given if form.finals else 'tl.zeros([BLOCK], tl.float32)'}")
        if form.looped:
            put(f"segments = tl.cdiv(steps, {form.length})")
            with self.segments("back", "segments"):
                put("segment = wide + (segments - 1 - back)", f"first = segment * {form.length}")
                self.places("first * size + at")
                self._segment()
        else:
            put("first = wide")
            self.places("at")
            self._segment()
        self._factors(p for p in self.learned if self.kinds[p] == "full")
        for u in states:
            if u in self.functions.summed:
                self._add(u, f"{u}_grad")
        for leaf in self.functions.summed:
            if self.kinds[leaf] == "full":
                self.store(f"sum_{leaf}_p", "at", f"{leaf}_grad")

    def _load_twins(self) -> None:
        """Load parameters for the way back."""
        for p, name in self.twins.items():
            self.operand(p, name, "volatile=True")

    def _segment(self) -> None:
        """Backward through one segment."""
        put = self.put
        for u in self.trace.states:
            start = f"{u} + tl.zeros([BLOCK], tl.float32)"
            if self.form.checkpoints:
                start = self.loaded(f"{u}_checkpoints_p", "segment * size + at")
            put(f"{u}_0 = {start}")
        self.loads(map(str, self.trace.inputs), self.steps)
        self.loads(map(str, self.grads), self.steps[::-1])
        with self.loaded_first():
            for k in self.steps:
                self._advance(k)
            for k in reversed(self.steps):
                with self.step(k):
                    self._release(k)
                    if k and self.cut.again:
                        self._fire(k, self.twins)
                    self._pull(k)

    def loaded_first(self) -> Guard:
        """The lines that come after the loads of a single segment.

        The compiler moves loads down to where they are needed, and so waits for each. A branch that
        is always taken keeps them apart. Where little is kept, registers are few and warps many;
        then these hide the waits, and registers are better spent on more warps.
        """
        apart = not self.form.looped and not self.cut.again
        return self.put.block("if steps > 0:") if apart else nullcontext()

    def _release(self, k: int) -> None:
        """Make what was kept for a step depend on the step after it, so that LLVM does not compute
        the way back of all steps at once."""
        if self.cut.again:
            kept = [f"neck_{k - 1}"] if k else []
        else:
            kept = [f"{u}_{k}" for u in self.trace.states] + [f"neck_{k}"] * bool(self.cut.neck)
        if self.trace.states:
            after = f"{self.trace.states[0]}_grad"
            self.put(*(f"{name} = opaque({name}, {after})" for name in kept))

    def _advance(self, k: int) -> None:
        """Compute the neck of a step, and the states of the next one."""
        names = self.names(k)
        if self.cut.neck:
            self.call(self.cut.charge, [names[self.cut.neck]], names)
        if k < self.form.length - 1 and self.trace.states:
            self._fire(k + 1)

    def _fire(self, k: int, twins: dict[Node, str] | None = None) -> None:
        """Compute the states of a step from the neck of the step before."""
        states = [f"{u}_{k}" for u in self.trace.states]
        self.call(self.cut.fire, states, self.names(k - 1) | (twins or {}))
        for name, node in zip(states, self.cut.fire.results, strict=True):
            if (blocked := self.blocked(name, node)) != name:
                self.put(f"{name} = {blocked}")

    def _pull(self, k: int) -> None:
        """The gradients of a step."""
        put, functions = self.put, self.functions
        leaves = [leaf for leaf in functions.leaves if functions.gradient(leaf)]
        if self.cut.pull.results:
            self.call(self.cut.pull, [f"d_{leaf}" for leaf in leaves], self.names(k) | self.twins)
        for x in self.inputs:
            self.store(f"grad_{x}_p", self.dense(k), f"d_{x}")
        for p in self.learned:
            factor = f" * {p}_factor" if p in functions.factors and p not in self.late else ""
            self._add(p, f"d_{p}{factor}")
        for u in self.trace.states:
            node = functions.gradient(u)
            zero = "tl.zeros([BLOCK], tl.float32)"
            put(f"{u}_grad = {zero if node is None else self.blocked(f'd_{u}', node)}")

    def names(self, k: int | None = None) -> dict[Node, str]:
        names = super().names(k)
        if k is not None:
            names |= {x: f"{x}_{k}.to(tl.float32)" for x in self.trace.inputs}
            names |= {g: f"{g}_{k}.to(tl.float32)" for g in self.grads}
            names |= {g: f"{u}_grad" for u, g in self.finals.items()}
            if self.cut.neck:
                names[self.cut.neck] = f"neck_{k}"
        return names

    def _clear(self, leaves: Iterable[Node]) -> None:
        """Set sums to zero: one for a thread, or one for an element."""
        for leaf in leaves:
            shape = "BLOCK // EACH" if self._single(leaf) else "BLOCK"
            self.put(f"{self._sum(leaf)} = tl.zeros([{shape}], tl.float32)")

    def _add(self, leaf: Node, value: str) -> None:
        """Add gradients to a sum. Those of a thread's elements are added up first if they share a
        value, so that a sum takes one register."""
        if self._single(leaf):
            value = f"{value} + tl.zeros([BLOCK], tl.float32)" if self._flat(leaf) else value
            value = f"tl.where(mask, {value}, 0.0)" if self.form.masked else value
            value = f"tl.sum(tl.reshape({value}, [BLOCK // EACH, EACH]), 1)"
        if leaf not in self.trace.states or self.kinds[leaf] != "full":
            total = self._sum(leaf)
            self.put(f"{total} += {value}", f"{total} = opaque({total}, {total})")

    def _flat(self, leaf: Node) -> bool:
        """Whether the gradient is the same for all elements, so that it may be no block."""
        node = self.functions.gradient(leaf)
        return leaf not in self.trace.states and node is not None and self.blocked("", node) != ""

    def _single(self, leaf: Node) -> bool:
        return self.kinds[leaf] in ("single", "one")

    def _sum(self, leaf: Node) -> str:
        """The name of a sum; `u_grad` is a state's gradient, which goes through time."""
        return f"{leaf}_sum" if leaf in self.trace.states else f"{leaf}_grad"

    def _factors(self, leaves: Iterable[Node]) -> None:
        """Multiply sums by their factors."""
        late = [p for p in leaves if p in self.late]
        if late:
            self._scale()
            self.put(*(f"{p}_grad = {p}_grad * {p}_factor" for p in late))

    def _scale(self) -> None:
        factors = [f"{p}_factor" for p in self.functions.factors]
        self.call(self.functions.scale, factors, self.names())

    def prepared(self) -> None:
        super().prepared()
        if self.late != set(self.functions.factors):
            self._scale()

    def _write_sum(self, leaf: Node) -> None:
        """Write a sum that is complete when the program ends."""
        if self._single(leaf):
            place = "group * tl.num_programs(0) + column"
            self.put(f"tl.store(sum_{leaf}_p + {place}, tl.sum({self._sum(leaf)}, 0))")
        elif self.kinds[leaf] == "row":
            self.store(f"sum_{leaf}_p", "(wide + group) * period", self._sum(leaf))
