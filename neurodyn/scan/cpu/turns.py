"""A step for all elements of a row, in one loop or in two.

While one operation waits for another, a processor works on the next elements, but it does not look
far ahead. A long step, in which operations wait for each other, leaves it idle. So a long step is
cut in two at its neck, the node that every path from an input to a result passes through (in most
neurons, the charged membrane): the first loop charges, the second fires and resets. Each is short
enough for elements to overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
from neurodyn.scan.cpu.operands import Operands
from neurodyn.scan.cpu.rows import Ahead
from neurodyn.step.functions import neck, operations
from neurodyn.step.graph import Node

LONG = 16
"""A step of this many operations is cut in two."""
Finish = Callable[[list[Value], Value, int], None]


class Stepper:
    """Writes a step of a kernel, forward in time."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.code, self.trace = kernel, kernel.code, kernel.trace
        self.states, self.sequences = self.trace.states, self.trace.inputs
        self.neck = neck(kernel.functions)
        self.given = Operands(kernel)

    @contextmanager
    def tasks(self, rows: Mapping[str, int | Value]) -> Iterator[Value]:
        """The loop over tasks, with rows in memory and the column's operands."""
        prepared = dict.fromkeys(self.given.rows.values(), 1)
        with self.kernel.scratch({**rows, **prepared}), self.kernel.tasks() as task:
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
        keep_neck: bool = False,
        writing: bool = False,
    ) -> None:
        """Compute results of the step at time `t`, and hand them to `finish`.

        Args:
            i: which of the states in memory to start from, if there are those of several steps.
            ahead: rows to prefetch.
            keep_neck: keep the neck in memory as well.
            writing: `finish` writes results of the kernel.
        """
        kernel, inputs, neck = self.kernel, self.sequences, self.neck
        in_turns = neck is not None and operations(results) >= LONG

        def given(j: Value, lanes: int) -> Values:
            return self.known(o, j, lanes, i) | {
                x: self.incoming(x, o, t, j, lanes) for x in inputs
            }

        def charge(known: Values, j: Value, lanes: int) -> None:
            assert neck is not None
            (value,) = kernel.evaluate((neck,), known, exact=True, lanes=lanes)
            kernel.keep(value, "neck", j, lanes, i)

        def settle(known: Values, j: Value, lanes: int) -> None:
            ahead.fetch(j, lanes)
            finish(kernel.evaluate(results, known, exact=True, lanes=lanes), j, lanes)

        def first(j: Value, lanes: int) -> None:
            charge(given(j, lanes), j, lanes)

        def second(j: Value, lanes: int) -> None:
            assert neck is not None
            kept = kernel.kept("neck", j, lanes, i)
            settle(self.known(o, j, lanes, i) | {neck: kept}, j, lanes)

        def whole(j: Value, lanes: int) -> None:
            known = given(j, lanes)
            settle(known, j, lanes)
            if keep_neck:
                charge(known, j, lanes)

        kernel.elements(*((first, second) if in_turns else (whole,)), writing=writing)
