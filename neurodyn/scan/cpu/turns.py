"""A step for all elements of a row, in one turn or two.

A processor works ahead of what it waits for, but only so far: a long step, in which one operation
waits for another, leaves it idle. Such a step is cut in two at its neck, the charged membrane: the
first loop charges, the second fires and resets, and each is short enough to overlap with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neurodyn.scan.cpu.llvm import Value
from neurodyn.scan.cpu.loops import Kernel, Values
from neurodyn.step.functions import neck, operations
from neurodyn.step.graph import Node

LONG = 16
"""A step of this many operations takes two turns."""
Finish = Callable[[list[Value], Value, int], None]


class Stepper:
    """The steps of a kernel, forward in time."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.code, self.trace = kernel, kernel.code, kernel.trace
        self.states = self.trace.states
        self.neck = neck(kernel.functions)

    def known(self, o: Value, j: Value, lanes: int, i: Value | None = None) -> Values:
        """Parameters, and the states before the `i`-th step of those in memory."""
        known = self.kernel.parameters(o, j, lanes)
        return known | {u: self.kernel.kept(str(u), j, lanes, i) for u in self.states}

    def step(
        self,
        results: Sequence[Node],
        finish: Finish,
        o: Value,
        t: Value,
        i: Value | None = None,
        *,
        keep_neck: bool = False,
        writing: bool = False,
    ) -> None:
        """Compute results of the step at time `t`, and hand them to `finish`.

        Args:
            i: where its states are in memory, if there are those of several steps.
            keep_neck: keep the neck there as well.
            writing: `finish` writes to where results go.
        """
        kernel, inputs, neck = self.kernel, self.trace.inputs, self.neck
        in_turns = neck is not None and operations(results) >= LONG

        def read(j: Value, lanes: int) -> Values:
            return self.known(o, j, lanes, i) | {
                x: kernel.stream(x, o, t, j, lanes) for x in inputs
            }

        def charge(known: Values, j: Value, lanes: int) -> None:
            assert neck is not None
            (value,) = kernel.evaluate((neck,), known, exact=True, lanes=lanes)
            kernel.keep(value, "neck", j, lanes, i)

        def settle(known: Values, j: Value, lanes: int) -> None:
            kernel.fetch(inputs, o, t + 1, j, lanes)
            finish(kernel.evaluate(results, known, exact=True, lanes=lanes), j, lanes)

        def first(j: Value, lanes: int) -> None:
            charge(read(j, lanes), j, lanes)

        def second(j: Value, lanes: int) -> None:
            assert neck is not None
            kept = kernel.kept("neck", j, lanes, i)
            settle(self.known(o, j, lanes, i) | {neck: kept}, j, lanes)

        def whole(j: Value, lanes: int) -> None:
            known = read(j, lanes)
            settle(known, j, lanes)
            if keep_neck:
                charge(known, j, lanes)

        kernel.elements(*((first, second) if in_turns else (whole,)), writing=writing)
