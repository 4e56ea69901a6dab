"""What the sources of GPU kernels share: arguments, places in memory, parameters, functions.

A program has a block of elements, and keeps their states in registers. Time is cut into segments.
The loads of a whole segment stand in front of its steps, so that all are under way at once, and a
loop over segments loads one segment ahead. So no step waits for memory. The steps of a segment are
unrolled, the segments are not, so code and compile time do not grow with T.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from neurodyn.scan.gpu.sizes import AHEAD
from neurodyn.scan.gpu.triton import Source, print_function
from neurodyn.scan.gpu.walk import Form
from neurodyn.step.functions import Function, Functions
from neurodyn.step.graph import Node, reachable

Guard = AbstractContextManager[Any]

STAGES = AHEAD + 1
"""Triton copies the sequences of a segment into shared memory while the one before is computed."""


class Kernel:
    """Writes the loops around the functions."""

    name: ClassVar[str]
    nest: ClassVar[tuple[str, ...]]
    """The loops in words."""

    def __init__(self, functions: Functions, form: Form) -> None:
        self.put, self.functions, self.form = Source(), functions, form
        self.trace, self.steps = functions.trace, range(form.length)
        self.operands = self.trace.states + functions.parameters
        self.kinds = dict(zip(self.operands, form.kinds, strict=True))
        self.inside = "full" in (self.kinds[p] for p in functions.parameters)
        """Whether a parameter differs from block to block."""

    def open(self) -> None:
        """The first lines of the module."""
        lines = [line.format(length=self.form.length) for line in self.nest]
        self.put(*(f"# {line}" for line in lines))
        self.put("", "import triton", "import triton.language as tl", "")
        self.put("from neurodyn.scan.gpu.opaque import opaque")

    def functions_of(self, *functions: Function) -> None:
        """Write these functions exactly as the step has them."""
        for function in functions:
            if function.results:
                print_function(self.put, function, self.trace.definitions)

    def head(self, grads: Sequence[Node], finals: Sequence[str], fresh: Iterable[str]) -> None:
        """The kernel's first lines: sequences and operands it reads, and what it writes."""
        put, dense = self.put, self.form.dense
        arguments = [f"{x}_p" if dense else f"{x}_p, {x}_t, {x}_o" for x in self.trace.inputs]
        for leaf, kind in self.kinds.items():
            arguments.append(f"{leaf}_p, {leaf}_run, {leaf}_size" if kind == "one" else f"{leaf}_p")
        arguments += [f"{g}_p" if dense else f"{g}_p, {g}_t, {g}_o" for g in grads]
        arguments += [f"{g}_p" if dense else f"{g}_p, {g}_t, {g}_o" for g in finals]
        arguments += [f"{name}_p" for name in fresh]
        put("", "", '@triton.jit(do_not_specialize=["steps"])', f"def {self.name}(")
        put(*(f"    {line}," for line in arguments))
        put("    steps, elements, period, inner, pieces, outer,")
        put("    BLOCK: tl.constexpr, EACH: tl.constexpr,", "):")

    def begin(self) -> None:
        """Where the program's column is, and the operands that are the same in every block."""
        put = self.put
        put(
            "column, group = tl.program_id(0), tl.program_id(1)",
            "run = column // pieces * inner",
            "q = run + column % pieces * BLOCK + tl.arange(0, BLOCK)",
        )
        if self.form.masked:
            put("mask = q < run + inner")
        # Places in memory have 64 bits: a sequence may have more than 2^31 elements.
        put("wide = column.to(tl.int64) * 0", "size = wide + elements")
        for leaf, kind in self.kinds.items():
            if kind != "full" and self.reads(leaf):
                self.operand(leaf, str(leaf))
        if not self.inside:
            self.prepared()

    def reads(self, leaf: Node) -> bool:
        """Whether the kernel reads an operand."""
        return True

    def prepared(self) -> None:
        """What follows from parameters alone."""
        prepare = self.functions.prepare
        if prepare.results:
            self.call(prepare, [f"r{node.index}" for node in prepare.results], self.names())

    def blocks(self) -> Guard:
        """The loop over the blocks of the program's group; there may be only one."""
        if not self.form.blocks:
            self.put("o, at = 0, wide")
            return nullcontext()
        loop = self.put.block("for o in range(group, outer, tl.num_programs(1)):")
        with loop:
            self.put("at = (wide + o) * period")
        return loop

    def segments(self, name: str, count: str) -> Guard:
        """The loop over segments. The loads of the next segment are under way in each turn."""
        return self.put.block(f"for {name} in tl.range({count}, num_stages={STAGES}):")

    def loads(self, sequences: Iterable[str], steps: Iterable[int]) -> None:
        """Load a segment of sequences, in the dtype of memory: that takes fewer registers."""
        for k, name in itertools.product(steps, sequences):
            value = self.loaded(f"{name}_p", self.sequence(name, k), self.exists(k))
            self.put(f"{name}_{k} = {value}")

    def places(self, start: str) -> None:
        """Where the steps of a segment are, in sequences that lie as the layout does."""
        self.put(f"place_0 = {start}")
        self.put(*(f"place_{k} = place_{k - 1} + size" for k in self.steps[1:]))

    def of_block(self) -> None:
        """The operands that differ from block to block."""
        for leaf, kind in self.kinds.items():
            if kind == "full" and self.reads(leaf):
                self.operand(leaf, str(leaf))
        if self.inside:
            self.prepared()

    def operand(self, leaf: Node, name: str, option: str = "") -> None:
        """Load an operand by its kind."""
        kind = self.kinds[leaf]
        if kind in ("single", "one"):
            place = f" + run // {leaf}_run % {leaf}_size" if kind == "one" else ""
            text = f"tl.load({leaf}_p{place}{option and ', '}{option})"
        else:
            text = self.loaded(f"{leaf}_p", "" if kind == "row" else "at", option=option)
        self.put(f"{name} = {text}.to(tl.float32)")

    def loaded(self, pointer: str, place: str, when: str = "", option: str = "") -> str:
        """A load of the block's elements, as they are stored; `when` is a condition that is one for
        all of them."""
        address = f"{pointer} + {place} + q" if place else f"{pointer} + q"
        mask = " & ".join(filter(None, ("mask" if self.form.masked else "", when)))
        masked = f"mask={mask}, other=0.0" if mask else ""
        return f"tl.load({', '.join(filter(None, (address, masked, option)))})"

    def store(self, pointer: str, place: str, value: str) -> None:
        """A store of the block's elements."""
        address = f"{pointer} + {place} + q" if place else f"{pointer} + q"
        mask = ", mask=mask" if self.form.masked else ""
        self.put(f"tl.store({address}, {value}{mask})")

    def sequence(self, name: str, k: int) -> str:
        """Where the `k`-th step of the segment is in a sequence that was handed in."""
        if self.form.dense:
            return self.dense(k)
        return f"(first + {k}) * {name}_t + (wide + o) * {name}_o"

    def dense(self, k: int) -> str:
        """Where the `k`-th step of the segment is in a sequence that lies as the layout does."""
        return f"place_{k}"

    def exists(self, k: int) -> str:
        """The condition that the segment has a `k`-th step; empty if it always has."""
        return f"first + {k} < steps" if self.form.tail and k else ""

    def step(self, k: int) -> Guard:
        """The lines of the `k`-th step, which are left out where the segment lacks it."""
        exists = self.exists(k)
        return self.put.block(f"if {exists}:") if exists else nullcontext()

    def names(self, k: int | None = None) -> dict[Node, str]:
        """The names of values in the kernel: those of the `k`-th step of a segment."""
        names: dict[Node, str] = {p: str(p) for p in self.functions.parameters}
        for node in self.functions.prepare.results:
            names[node] = f"r{node.index}"
        if k is not None:
            names |= {leaf: f"{leaf}_{k}" for leaf in self.trace.inputs + self.trace.states}
        return names

    def call(self, function: Function, targets: Sequence[str], names: dict[Node, str]) -> None:
        self.put(f"{', '.join(targets)} = {function.call(names)}")

    def blocked(self, name: str, node: Node) -> str:
        """A value that is carried through time, as a block even if all elements share it."""
        varying = {*self.trace.inputs, *self.trace.states, *self.trace.grads}
        varying |= {leaf for leaf, kind in self.kinds.items() if kind in ("row", "full")}
        if varying & set(reachable([node])):
            return name
        return f"{name} + tl.zeros([BLOCK], tl.float32)"
