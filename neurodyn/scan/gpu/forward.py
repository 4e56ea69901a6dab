"""The forward kernel: steps through time, and writes states that a backward pass starts from."""

from __future__ import annotations

from neurodyn.scan.gpu.loops import Kernel


class Forward(Kernel):
    """The loops of the forward kernel."""

    name = "forward"
    nest = (
        "for column, group (in parallel): load parameters",
        "    for block of the group: load states into registers",
        "        for segment of {length} steps: write the states, if backward will need them",
        "            load the inputs of the segment",
        "            for step (unrolled): step, write the outputs",
    )

    def text(self) -> str:
        """The module's source."""
        put, states, form = self.put, self.trace.states, self.form
        self.outputs = [f"out{i}" for i in range(self.trace.n_outputs)]
        fresh = [*self.outputs]
        fresh += [f"{u}_final" for u in states] if form.finals else []
        fresh += [f"{u}_checkpoints" for u in states] if form.checkpoints else []
        self.open()
        self.functions_of(self.functions.prepare, self.functions.step)
        self.head((), (), fresh)
        with put:
            self.begin()
            with self.blocks():
                self.of_block()
                for u in states:
                    put(f"{u}_0 = {u} + tl.zeros([BLOCK], tl.float32)")
                self._segments()
                if form.finals:
                    for u in states:
                        self.store(f"{u}_final_p", "at", f"{u}_0")
        return put.text()

    def _segments(self) -> None:
        put, length = self.put, self.form.length
        if not self.form.looped:
            put("first = wide")
            self.places("at")
            self.loads(map(str, self.trace.inputs), self.steps)
            self._steps()
            return
        with self.segments("segment", f"tl.cdiv(steps, {length})"):
            put(f"first = (wide + segment) * {length}")
            self.places("first * size + at")
            self.loads(map(str, self.trace.inputs), self.steps)
            if self.form.checkpoints:
                for u in self.trace.states:
                    self.store(f"{u}_checkpoints_p", "(wide + segment) * size + at", f"{u}_0")
            self._steps()

    def _steps(self) -> None:
        put, states, n = self.put, self.trace.states, self.trace.n_outputs
        for k in self.steps:
            with self.step(k):
                names = self.names(k) | {u: f"{u}_0" for u in states}
                names |= {x: f"{x}_{k}.to(tl.float32)" for x in self.trace.inputs}
                self.call(self.functions.step, [*self.outputs, *(f"{u}_1" for u in states)], names)
                for name in self.outputs:
                    self.store(f"{name}_p", self.dense(k), name)
                for u, node in zip(states, self.trace.results[n:], strict=True):
                    put(f"{u}_0 = {self.blocked(f'{u}_1', node)}")
