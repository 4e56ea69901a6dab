"""The forward kernel: reads the inputs and writes the outputs.

On request it also writes the states at the start of every segment of time, and the final states.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel
from neurodyn.scan.cpu.rows import AHEAD, Row
from neurodyn.scan.cpu.stepper import Stepper
from neurodyn.step.graph import Node

NEST = (
    "for column (in parallel): load parameters",
    "    for block:",
    "        for segment of time: write the states, if backward will need them",
    "            for step: for {lanes} lanes of the column: step",
)


class Forward(Stepper):
    """The loops of the forward kernel."""

    nest: tuple[str, ...] = NEST

    def __init__(self, kernel: Kernel, outputs: Sequence[str]) -> None:
        super().__init__(kernel)
        self.outputs = outputs

    def emit(self) -> None:
        kernel, code = self.kernel, self.code
        rows = dict.fromkeys(map(str, self.states), 1)
        kernel.nest = tuple(line.format(lanes=kernel.lanes) for line in self.nest)
        with self.tasks(rows), kernel.blocks() as o:
            self._begin(o)
            with code.range("segment", code.integer(0), self._segments()) as segment:
                self._mark(segment, o)
                begin, end = kernel.span(segment)
                with code.range("t", begin, end) as t:
                    self._step(o, t)
            self._end(o)

    def _segments(self) -> Value:
        at = self.kernel.at
        return (at["steps"] + at["length"] - 1) // at["length"]

    def _begin(self, o: Value) -> None:
        for u in self.states:
            self.kernel.copy(self.given.initial(u, o), self.kernel.memory[str(u)])

    def _mark(self, segment: Value, o: Value) -> None:
        """Write the states at the start of a segment."""
        for u in self.states:
            self._save(u, f"{u}_checkpoints", self.kernel.checkpoint(u, segment, o))

    def _end(self, o: Value) -> None:
        for u in self.states:
            self._save(u, f"{u}_final", self.kernel.row(f"{u}_final", o))

    def _step(self, o: Value, t: Value) -> None:
        kernel = self.kernel
        targets = [kernel.row(name, o, t) for name in self.outputs]

        def finish(results: list[Value], j: Value, lanes: int) -> None:
            for value, row in zip(results, targets, strict=False):
                kernel.write(value, row, j, lanes)
            for value, u in zip(results[len(targets) :], self.states, strict=True):
                kernel.keep(value, str(u), j, lanes)

        inputs, steps, later = self.trace.inputs, kernel.at["steps"], t + AHEAD
        following = kernel.ahead(inputs, later - steps, *kernel.next)
        ahead = kernel.ahead(inputs, later, o).unless(later >= steps, following)
        self.step(self.trace.results, finish, o, t, ahead=ahead, writing=True)

    def _save(self, u: Node, name: str, row: Row) -> None:
        """Write a state, if the caller gave an address for it."""
        kernel = self.kernel
        with self.code.builder.if_then((kernel.tensors[name].row.address != 0).ir):
            kernel.elements(
                lambda j, lanes: kernel.write(kernel.kept(str(u), j, lanes), row, j, lanes),
                writing=True,
            )
