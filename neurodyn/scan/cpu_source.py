"""The CPU kernels: the step's operations inside loops, in the language of LLVM.

The forward kernel reads the inputs and writes the outputs, and, where somebody asks for them, the
states at the start of every segment of time and the final states. The backward kernel goes over the
segments from the last to the first, reads the inputs again and computes the states within a segment
anew, and then the gradients. All of that happens column by column, inside the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neurodyn.scan.cpu_kernel import Kernel
from neurodyn.scan.cpu_value import Value
from neurodyn.scan.graph import Node, reachable
from neurodyn.scan.layout import StaticKind
from neurodyn.scan.parts import Parts, gate


def forward(parts: Parts, bits: int, kinds: Sequence[StaticKind]) -> str:
    """The module of the forward kernel.

    Args:
        parts: the functions; those for the derivative are left out.
        bits: 32 or 64, the size of a real.
        kinds: how each state and each of `parts.parameters` is found (`layout.Static`).
    """
    outputs = [f"out{i}" for i in range(parts.trace.n_outputs)]
    finals = [f"{u}_final" for u in parts.trace.states]
    kernel = Kernel("forward", parts, bits, kinds, [*outputs, *finals, *_marks(parts)])
    _Forward(kernel, outputs).emit()
    return kernel.text()


def backward(parts: Parts, bits: int, kinds: Sequence[StaticKind]) -> str:
    """The module of the backward kernel; arguments as for `forward`."""
    inputs, sums = _gradients(parts)
    names = [*map(str, parts.trace.grads), *_marks(parts)]
    names += [f"grad_{x}" for x in inputs] + [f"sum_{leaf}" for leaf in sums]
    kernel = Kernel("backward", parts, bits, kinds, names)
    _Backward(kernel, inputs, sums).emit()
    return kernel.text()


def _marks(parts: Parts) -> list[str]:
    return [f"{u}_marks" for u in parts.trace.states]


def _gradients(parts: Parts) -> tuple[list[Node], list[Node]]:
    """The inputs with a gradient, and the states and parameters with one."""
    inputs = [x for x in parts.trace.inputs if parts.gradient(x)]
    learned = [p for p in parts.parameters if parts.gradient(p)]
    return inputs, [*parts.trace.states, *learned]


class _Forward:
    """The loops of the forward kernel."""

    def __init__(self, kernel: Kernel, outputs: Sequence[str]) -> None:
        self.kernel, self.code, self.trace = kernel, kernel.code, kernel.trace
        self.outputs = outputs

    def emit(self) -> None:
        kernel, at, code = self.kernel, self.kernel.at, self.code
        states = self.trace.states
        with kernel.scratch({str(u): 1 for u in states}), kernel.tasks(), kernel.blocks() as o:
            for u in states:
                kernel.copy(kernel.initial(u, o), kernel.memory[str(u)])
            segments = (at["steps"] + at["length"] - 1) // at["length"]
            with code.range("segment", code.integer(0), segments) as segment:
                for u in states:
                    self._save(u, f"{u}_marks", kernel.mark(u, segment, o))
                begin, end = kernel.span(segment)
                with code.range("t", begin, end) as t:
                    self._step(t, o)
            for u in states:
                self._save(u, f"{u}_final", kernel.row(f"{u}_final", o))

    def _step(self, t: Value, o: Value) -> None:
        kernel, states = self.kernel, self.trace.states
        targets = [kernel.row(name, o, t) for name in self.outputs]

        def body(j: Value, lanes: int) -> None:
            known = kernel.parameters(o, j, lanes)
            known |= {u: kernel.kept(str(u), j, lanes) for u in states}
            for x in self.trace.inputs:
                known[x] = kernel.stream(str(x), o, t, j, lanes, 1)
            results = kernel.evaluate(self.trace.results, known, exact=True, lanes=lanes)
            for value, row in zip(results, targets, strict=False):
                kernel.write(value, row, j, lanes)
            for value, u in zip(results[len(targets) :], states, strict=True):
                kernel.store(value, kernel.memory[str(u)], j, lanes)

        kernel.elements(body, writing=True)

    def _save(self, u: Node, name: str, row: Value) -> None:
        """Write a state, if there is where."""
        kernel = self.kernel
        with self.code.builder.if_then((kernel.tensors[name].address != 0).ir):
            kernel.elements(
                lambda j, lanes: kernel.write(kernel.kept(str(u), j, lanes), row, j, lanes),
                writing=True,
            )


class _Backward:
    """The loops of the backward kernel."""

    def __init__(self, kernel: Kernel, inputs: Sequence[Node], sums: Sequence[Node]) -> None:
        self.kernel, self.code, self.trace = kernel, kernel.code, kernel.trace
        self.states, self.inputs, self.sums = self.trace.states, inputs, sums
        self.learned = sums[len(self.states) :]
        leaves = kernel.parts.leaves
        self.grads = {leaf: g for leaf in leaves if (g := kernel.parts.gradient(leaf)) is not None}
        self.gate = gate(kernel.parts) if self.states else None
        """What is kept of the way forward through a segment, besides the states, so that the way
        back does not begin with all of it again."""
        self.rows = [p for p in sums if p in self.states or kernel.kinds[p] != "one"]
        """What has a row of gradients in memory."""
        self.wide = {p: self.code.variable("wide") for p in sums if kernel.kinds[p] == "one"}
        """Sums over a task, and over a row by lane."""
        self.narrow = {
            (p, lanes): self.code.variable("real", max(1, lanes // 2))
            for p in self.wide
            for lanes in (kernel.lanes, 1)
        }

    def emit(self) -> None:
        kernel, code = self.kernel, self.code
        rows: dict[str, int | Value] = {f"{leaf}_grad": 1 for leaf in self.rows}
        steps = kernel.at["length"] + 1
        rows |= {str(u): steps for u in self.states} | {"gate": steps}
        with kernel.scratch(rows), kernel.tasks() as task:
            for total in self.wide.values():
                total.set(0.0)
            for p in self.sums:
                if kernel.kinds[p] == "row":
                    self._set_sums(p, lambda j, lanes: code.constant(0.0, "wide", lanes))
            with kernel.blocks() as self.o:
                self._block()
            for p, total in self.wide.items():
                code.store(total.get(), kernel.tensors[f"sum_{p}"].address + task * 8)

    def _block(self) -> None:
        """Backward through time, for one column of one block."""
        kernel, code, at, o = self.kernel, self.code, self.kernel.at, self.o
        for leaf in self.rows:
            kernel.copy(lambda j, lanes: code.constant(0.0, "real"), kernel.memory[f"{leaf}_grad"])
        for u, g in zip(self.states, self.trace.grads[self.trace.n_outputs :], strict=True):
            with code.builder.if_then((kernel.tensors[str(g)].address != 0).ir):
                kernel.copy(kernel.reader(kernel.row(str(g), o)), kernel.memory[f"{u}_grad"])
        last = (at["steps"] - 1) // at["length"]
        with code.range("segment", last, code.integer(-1), -1) as segment:
            self._segment(segment)
        for leaf in self.sums:
            self._add_block(leaf)

    def _segment(self, segment: Value) -> None:
        """The states of a segment, and then its gradients, backward."""
        kernel, code = self.kernel, self.code
        for u in self.states:
            with code.builder.if_else((segment != 0).ir) as (then, otherwise):
                with then:
                    mark = kernel.reader(kernel.mark(u, segment, self.o))
                    kernel.copy(mark, kernel.memory[str(u)])
                with otherwise:
                    kernel.copy(kernel.initial(u, self.o), kernel.memory[str(u)])
        begin, end = kernel.span(segment)
        if self.states:
            with code.range("t", begin, end if self.gate else end - 1) as t:
                self._replay(t, t - begin)
        with code.range("t", end - 1, begin - 1, -1) as t:
            self._pull(t, t - begin)

    def _replay(self, t: Value, i: Value) -> None:
        """The states after the `i`-th step of a segment, from those before it."""
        kernel = self.kernel
        after = self.trace.results[self.trace.n_outputs :]

        def body(j: Value, lanes: int) -> None:
            known = kernel.parameters(self.o, j, lanes)
            known |= {u: kernel.kept(str(u), j, lanes, i) for u in self.states}
            for x in self.trace.inputs:
                known[x] = kernel.stream(str(x), self.o, t, j, lanes, 1)
            results = kernel.evaluate(after, known, exact=True, lanes=lanes)
            for u, value in zip(self.states, results, strict=True):
                kernel.keep(value, str(u), j, lanes, i + 1)
            if self.gate:
                (value,) = kernel.evaluate((self.gate,), known, exact=True, lanes=lanes)
                kernel.keep(value, "gate", j, lanes, i)

        kernel.elements(body)

    def _pull(self, t: Value, i: Value) -> None:
        """The gradients of a step, from those after it."""
        kernel, trace, parts = self.kernel, self.trace, self.kernel.parts
        zero = self.code.constant(0.0, "real")
        stop = frozenset((self.gate,) if self.gate else ())
        needed = reachable((*parts.replay.results, *parts.pull.results), stop)

        def body(j: Value, lanes: int) -> None:
            known = kernel.parameters(self.o, j, lanes)
            known |= {u: kernel.kept(str(u), j, lanes, i) for u in self.states}
            if self.gate:
                known[self.gate] = kernel.kept("gate", j, lanes, i)
            for x in self.trace.inputs:
                if x in needed:
                    known[x] = kernel.stream(str(x), self.o, t, j, lanes, -1)
            kernel.evaluate(parts.replay.results, known, exact=True, lanes=lanes)
            for g in trace.grads[: trace.n_outputs]:
                known[g] = kernel.stream(str(g), self.o, t, j, lanes, -1)
            for g, u in zip(trace.grads[trace.n_outputs :], self.states, strict=True):
                known[g] = kernel.load(kernel.memory[f"{u}_grad"], j, lanes, str(g))
            kernel.evaluate(parts.pull.results, known, exact=False, lanes=lanes)
            for x in self.inputs:
                row = kernel.row(f"grad_{x}", self.o, t)
                kernel.write(known[self.grads[x]], row, j, lanes)
            for u in self.states:
                value = known[self.grads[u]] if u in self.grads else zero
                kernel.store(value, kernel.memory[f"{u}_grad"], j, lanes)
            for p in self.learned:
                self._add(p, known[self.grads[p]], j, lanes)

        self._summed([p for p in self.learned if p in self.wide], body)

    def _add(self, p: Node, grad: Value, j: Value, lanes: int) -> None:
        """The gradient of a parameter at some elements to its sums."""
        kernel = self.kernel
        grad = self.code.repeated(grad, lanes)
        if p in self.wide:
            with self.code.exactly(False):
                self.narrow[p, lanes].add(self.code.folded(grad))
        else:
            row = kernel.memory[f"{p}_grad"]
            kernel.store(kernel.load(row, j, lanes) + grad, row, j, lanes)

    def _summed(self, leaves: Sequence[Node], body: Callable[[Value, int], None]) -> None:
        """A loop over a row whose sums by lane end up in the task's, in float64."""
        sums = [(p, self.narrow[p, lanes]) for p in leaves for lanes in (self.kernel.lanes, 1)]
        for _, narrow in sums:
            narrow.set(0.0)
        self.kernel.elements(body, writing=True)
        for p, narrow in sums:
            self.wide[p].add(self.code.total(narrow.get()))

    def _add_block(self, leaf: Node) -> None:
        """The gradients of a block to the sums over blocks."""
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
        """The address of a sum of a parameter that has a number for every element."""
        tensor = self.kernel.tensors[f"sum_{leaf}"]
        return tensor.address + (self.kernel.group * tensor.block + self.kernel.q + j) * 8

    def _set_sums(self, leaf: Node, value: Callable[[Value, int], Value]) -> None:
        self.kernel.elements(lambda j, lanes: self.code.store(value(j, lanes), self._sum(leaf, j)))
