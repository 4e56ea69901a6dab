"""What the loops of CPU kernels share: arguments, memory, columns and rows.

It also evaluates the step's graph for the elements of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from llvmlite import ir

from neurodyn.scan.cpu.evaluate import Evaluation, Values
from neurodyn.scan.cpu.listing import listing
from neurodyn.scan.cpu.llvm import WHOLE, Code, Value
from neurodyn.scan.cpu.rows import Ahead, Place, Row, Tensor
from neurodyn.scan.layout import OperandKind
from neurodyn.step.functions import Functions
from neurodyn.step.graph import Node

HEADER = (
    *("steps", "outer", "period", "inner", "pieces", "width", "groups"),
    *("elements", "length", "streaming"),
)
"""The first entries of the argument array; three numbers per tensor follow."""
VECTOR = 64
"""Bytes of the narrowest row per turn of the innermost loop: a line of the cache."""
Body = Callable[[Value, int], None]


class Kernel:
    """A function `(first task, last task, arguments)`, and what its loops share."""

    def __init__(
        self,
        name: str,
        functions: Functions,
        bits: int,
        kinds: Sequence[OperandKind],
        fresh: Sequence[str],
        stored: Sequence[str] = (),
        together: int = 1,
    ) -> None:
        self.functions, self.trace = functions, functions.trace
        self.operands = self.trace.states + functions.parameters
        self.kinds = dict(zip(self.operands, kinds, strict=True))
        self.module = ir.Module(name)
        signature = ir.FunctionType(ir.VoidType(), [WHOLE] * 3)
        self.function = ir.Function(self.module, signature, name)
        # Values that do not fit into registers go to the stack, and must not straddle cache lines.
        self.function.attributes.add("nounwind")
        self.function.attributes.alignstack = VECTOR
        for argument, called in zip(self.function.args, ("first", "last", "a"), strict=True):
            argument.name = called
        entry = self.function.append_basic_block("entry")
        start = self.function.append_basic_block("start")
        self.code = code = Code(ir.IRBuilder(entry), bits)
        code.builder.branch(start)
        code.builder.position_at_end(start)
        self.nest: tuple[str, ...] = ()
        """The loops in words, for the head of the source."""
        self.streaming, self.together = False, together
        self.size = bits // 8
        self.lanes = VECTOR // min(map(code.size, stored or ("real",)))
        self.first, self.last, array = (Value(code, a, "int") for a in self.function.args)

        def entry_at(i: int, called: str) -> Value:
            address = array + 8 * i
            with code.named(called):
                return code.load(address, "int")

        self.at = {name: entry_at(i, name) for i, name in enumerate(HEADER)}
        self.tensors: dict[str, Tensor] = {}
        for i, called in enumerate([*map(str, (*self.trace.inputs, *self.operands)), *fresh]):
            place = len(HEADER) + 3 * i
            self.tensors[called] = Tensor(
                Row(entry_at(place, f"{called}.p"), stored[i] if stored else "real"),
                entry_at(place + 1, f"{called}.t"),
                entry_at(place + 2, f"{called}.o"),
            )

    @contextmanager
    def scratch(
        self, rows: Mapping[str, int | Value], shared: Mapping[str, int | Value]
    ) -> Iterator[None]:
        """Memory for rows as wide as a column: for each of the blocks that are visited at once, and
        shared by them. `self.memory` has them by name."""
        code, build = self.code, self.code.builder
        self.row_numbers = (self.at["width"] + (VECTOR - 1)) // VECTOR * VECTOR
        width = self.row_numbers * self.size
        total = code.integer(VECTOR)
        offsets = {}
        for name, count in [*rows.items(), *shared.items()]:
            offsets[name] = total
            total = total + width * count * (self.together if name in rows else 1)
        none = ir.VoidType()
        allocate = ir.Function(self.module, ir.FunctionType(WHOLE, [WHOLE]), "malloc")
        free = ir.Function(self.module, ir.FunctionType(none, [WHOLE]), "free")
        flush = ir.Function(self.module, ir.FunctionType(WHOLE, []), "flush_denormals")
        restore = ir.Function(self.module, ir.FunctionType(none, [WHOLE]), "restore_denormals")
        memory = Value(code, build.call(allocate, [total.ir], "scratch"), "int")
        base = memory // VECTOR * VECTOR
        before = build.call(flush, [], "denormals")
        self.memory = {
            name: Row(base + at, apart=width if name in rows else None)
            for name, at in offsets.items()
        }
        yield
        build.call(restore, [before])
        build.call(free, [memory.ir])
        build.fence("seq_cst")  # Makes stores past the cache visible to other threads.
        build.ret_void()

    def side_by_side(self, names: Sequence[str]) -> None:
        """Let rows of these names lie side by side (see `Row`). `scratch` made them one after the
        other, the same number of each."""
        if len(names) > 1:
            rows = self.memory[names[0]].beside(len(names))
            self.memory.update(zip(names, rows, strict=True))

    @contextmanager
    def tasks(self) -> Iterator[Value]:
        """The loop over tasks. It sets the place of the column."""
        at, code = self.at, self.code
        with code.range("task", self.first, self.last) as task:
            self.task, self.group = task, task % at["groups"]
            self.q, piece = self._column(task)
            left = at["inner"] - piece * at["width"]
            self.n = code.where(left < at["width"], left, at["width"])
            yield task

    def _column(self, task: Value) -> tuple[Value, Value]:
        """The place of a task's column in a block, and which piece of a run it is."""
        at = self.at
        column = task // at["groups"]
        piece = column % at["pieces"]
        return column // at["pieces"] * at["inner"] + piece * at["width"], piece

    @contextmanager
    def blocks(self) -> Iterator[Value]:
        """The loop over a task's blocks. It sets the place of the block that comes next, which may
        be the first one of the next task."""
        outer, groups, code = self.at["outer"], self.at["groups"], self.code
        each = self.together
        start, stop = (outer // each * (self.group + i) // groups * each for i in (0, 1))
        after = self.task + 1
        first, (q, _) = outer // each * (after % groups) // groups * each, self._column(after)
        with code.range("block", start, stop, each) as o:
            last = o + each >= stop
            self.next = code.where(last, first, o + each), code.where(last, q, self.q)
            yield o

    def elements(self, body: Body, *, writing: bool = False, once: bool = False) -> None:
        """Loops over a row: `body(j, lanes)` line by line, and the remainder one by one; for each
        of the blocks that are visited at once.

        Args:
            writing: the body writes results of the kernel, past the cache if the arguments say so.
            once: not for each block, as they share the row.
        """
        zero, whole = self.code.integer(0), self.n // self.lanes * self.lanes

        def loop(lanes: int, start: Value, stop: Value) -> None:
            with self.code.range("j", start, stop, lanes) as j:
                for part in range(1 if once else self.together):
                    body(Place(j, part), lanes)

        if writing:
            with self.code.builder.if_else((self.at["streaming"] != 0).ir) as (then, otherwise):
                with then:
                    self.streaming = True
                    loop(self.lanes, zero, whole)
                    self.streaming = False
                with otherwise:
                    loop(self.lanes, zero, whole)
        else:
            loop(self.lanes, zero, whole)
        loop(1, whole, self.n)

    def row(self, name: str, o: Value, t: Value | None = None, q: Value | None = None) -> Row:
        """A tensor's row; in this column unless another place is given."""
        tensor = self.tensors[name]
        place = o * tensor.block + (self.q if q is None else q)
        if t is not None:
            place = place + t * tensor.time
        row = tensor.row.after(place)
        return replace(row, apart=tensor.block * row.size)

    def stream(self, leaf: Node, o: Value, t: Value, j: Value, lanes: int) -> Value:
        """Some elements of a sequence."""
        with self.code.named(str(leaf)):
            return self.row(str(leaf), o, t).load(j, lanes)

    def ahead(self, leaves: Sequence[Node], t: Value, o: Value, q: Value | None = None) -> Ahead:
        """The rows of sequences at time `t`; `o` and `q` are `self.next` for the block that comes
        next."""
        return Ahead([self.row(str(leaf), o, t, q) for leaf in leaves])

    def write(self, value: Value, row: Row, j: Value, lanes: int) -> None:
        """Write a result of the kernel, inside a loop over elements that is `writing`."""
        row.store(value, j, lanes, streaming=self.streaming and lanes > 1)

    def copy(self, source: Callable[[Value, int], Value], target: Row) -> None:
        """Fill a row of memory with what `source(j, lanes)` gives; `Row.load` is such a source."""
        once = target.apart is None
        self.elements(lambda j, lanes: target.store(source(j, lanes), j, lanes), once=once)

    def own(self, name: str, i: Value | None = None) -> Row:
        """The row of that name in memory; the `i`-th, if it has several."""
        row = self.memory[name]
        return row if i is None else row.after(self.row_numbers * self.together * i)

    def kept(self, name: str, j: Value, lanes: int, i: Value | None = None) -> Value:
        """Elements of a row in memory."""
        with self.code.named(name):
            return self.own(name, i).load(j, lanes)

    def keep(self, value: Value, name: str, j: Value, lanes: int, i: Value | None = None) -> None:
        """Put elements into memory, for `kept`."""
        self.own(name, i).store(value, j, lanes)

    def checkpoint(self, u: Node, segment: Value, o: Value) -> Row:
        """The row of a state at the start of a segment of time."""
        place = segment * self.at["elements"] + o * self.at["period"] + self.q
        row = self.tensors[f"{u}_checkpoints"].row.after(place)
        return replace(row, apart=self.at["period"] * row.size)

    def span(self, segment: Value) -> tuple[Value, Value]:
        """A segment's first step, and the one after its last."""
        begin = segment * self.at["length"]
        end = begin + self.at["length"]
        return begin, self.code.where(end < self.at["steps"], end, self.at["steps"])

    def evaluate(
        self, nodes: Sequence[Node], known: Values, *, exact: bool, lanes: int = 1
    ) -> list[Value]:
        """The values of nodes. They, and all values in between, are added to `known`."""
        Evaluation(self.code, self.trace.definitions, lanes).add(nodes, known, exact)
        return [known[node] for node in nodes]

    def text(self) -> str:
        """The module, with its loops and functions in words above it."""
        head = listing(self.function.name, self.nest, self.functions)
        return "\n".join([*head, str(self.module)])
