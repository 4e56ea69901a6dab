"""A step of a kernel, for all elements of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
from neurodyn.scan.cpu.operands import Operands
from neurodyn.scan.cpu.rows import Ahead
from neurodyn.step.functions import neck
from neurodyn.step.graph import Node

Finish = Callable[[list[Value], Value, int], None]


class Stepper:
    """Writes a step of a kernel, forward in time."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.code, self.trace = kernel, kernel.code, kernel.trace
        self.states, self.sequences = self.trace.states, self.trace.inputs
        self.neck = neck(kernel.functions)
        self.given = Operands(kernel)

    @contextmanager
    def tasks(self, rows: Mapping[str, int | Value], shared: Sequence[str] = ()) -> Iterator[Value]:
        """The loop over tasks, with rows in memory and the column's operands."""
        once = dict.fromkeys([*self.given.rows.values(), *shared], 1)
        with self.kernel.scratch(rows, once), self.kernel.tasks() as task:
            self.given.enter()
            yield task

    def known(self, o: Value, j: Value, lanes: int, i: Value | None = None) -> Values:
        """Parameters, and the states in memory (the `i`-th of several)."""
        known = self.given.known(o, j, lanes)
        return known | {u: self.kernel.kept(str(u), j, lanes, i) for u in self.states}

    def incoming(self, leaf: Node, o: Value, t: Value, j: Value, lanes: int) -> Value:
        """Some elements of an input."""
        return self.kernel.stream(leaf, o, t, j, lanes)

    def step(
        self,
        results: Sequence[Node],
        finish: Finish,
        o: Value,
        t: Value,
        i: Value | None = None,
        *,
        ahead: Ahead,
        writing: bool = False,
    ) -> None:
        """Compute results of the step at time `t`, and hand them to `finish`.

        Args:
            i: which of the states in memory to start from, if there are those of several steps.
            ahead: rows to prefetch.
            writing: `finish` writes results of the kernel.
        """

        def body(j: Value, lanes: int) -> None:
            ahead.fetch(j, lanes)
            known = self.known(o, j, lanes, i)
            known |= {x: self.incoming(x, o, t, j, lanes) for x in self.sequences}
            finish(self.kernel.evaluate(results, known, exact=True, lanes=lanes), j, lanes)

        self.kernel.elements(body, writing=writing)
