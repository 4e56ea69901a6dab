"""The source of a GPU kernel: the step's functions inside loops, for Triton.

A program has a block of elements, and keeps their states in registers. The forward kernel stores
the states at the start of every segment of time. The backward kernel goes over the segments from
the last to the first. In each it recomputes the states and then goes back through the steps. The
steps of a segment are unrolled, so that their states stay in registers. The segments are not, so
code and compile time do not grow with T.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from neurodyn.scan.gpu.triton import Source, print_function
from neurodyn.scan.layout import OperandKind
from neurodyn.step.functions import Function, Functions
from neurodyn.step.graph import Node, reachable

FORWARD_NEST = (
    "for BLOCK elements (in parallel): load parameters and states into registers",
    "    for step:",
    "        every LENGTH steps: write the states, if backward will need them",
    "        read the inputs, step, write the outputs",
)
BACKWARD_NEST = (
    "for BLOCK elements (in parallel): load parameters; at the end, write the sums of gradients",
    "    for segment of {length} steps, from the last: load the states at its start",
    "        for step (unrolled): step, states stay in registers",
    "        for step (unrolled), from the last: replay, pull, write the inputs' gradients",
)


def print_forward(functions: Functions, kinds: Sequence[OperandKind]) -> str:
    """The module of the forward kernel; arguments as for the CPU's."""
    source = _opening(FORWARD_NEST)
    _functions(source, functions, "prepare", "step")
    _Kernel(source, functions, kinds).forward()
    return source.text()


def print_backward(functions: Functions, kinds: Sequence[OperandKind], length: int) -> str:
    """The module of the backward kernel, for segments of `length` steps."""
    source = _opening(line.format(length=length) for line in BACKWARD_NEST)
    _functions(source, functions, "prepare", "step", "replay", "pull", "scale")
    _Kernel(source, functions, kinds).backward(length)
    return source.text()


def _opening(nest: Iterable[str]) -> Source:
    """The first lines of a module: its loops in words, and what it imports."""
    source = Source()
    source(*(f"# {line}" for line in nest))
    source("", "import triton", "import triton.language as tl")
    return source


def _functions(source: Source, functions: Functions, *names: str) -> None:
    for function in (getattr(functions, name) for name in names):
        if function.results:
            print_function(source, function, functions.trace.definitions)


class _Kernel:
    """Writes the loops around the functions."""

    def __init__(self, source: Source, functions: Functions, kinds: Sequence[OperandKind]) -> None:
        self.put, self.functions, self.trace = source, functions, functions.trace
        self.operands = self.trace.states + functions.parameters
        self.kinds = dict(zip(self.operands, kinds, strict=True))

    def forward(self) -> None:
        put, states, n_outputs = self.put, self.trace.states, self.trace.n_outputs
        outputs = [f"out{i}" for i in range(n_outputs)]
        fresh = [*outputs, *(f"{u}_final" for u in states), *(f"{u}_checkpoints" for u in states)]
        constants = "LENGTH: tl.constexpr, KEEP: tl.constexpr, FINAL: tl.constexpr"
        self._head("forward", (), fresh, constants)
        with put:
            self._begin()
            for u in states:
                put(f"{u}_now = {u} + tl.zeros([BLOCK], tl.float32)")
            put("for t in range(steps):")
            with put:
                put(
                    "if KEEP:",
                    "    if t % LENGTH == 0:",
                    "        checkpoint = (wide + t // LENGTH) * elements + i",
                )
                for u in states:
                    put(f"        tl.store({u}_checkpoints_p + checkpoint, {u}_now, mask=mask)")
                for x in self.trace.inputs:
                    self._load(str(x), "t", "mask")
                results = [*outputs, *(f"{u}_next" for u in states)]
                self._call(self.functions.step, results, dict(self._names("now")))
                for name in outputs:
                    put(f"tl.store({name}_p + (wide + t) * elements + i, {name}, mask=mask)")
                for i, u in enumerate(states):
                    put(
                        f"{u}_now = {self._blocked(f'{u}_next', self.trace.results[n_outputs + i])}"
                    )
            for u in states:
                put("if FINAL:", f"    tl.store({u}_final_p + i, {u}_now, mask=mask)")

    def backward(self, length: int) -> None:
        put, states, n_outputs = self.put, self.trace.states, self.trace.n_outputs
        inputs = [x for x in self.trace.inputs if self.functions.gradient(x)]
        learned = [p for p in self.functions.parameters if self.functions.gradient(p)]
        grads_out, grads_state = self.trace.grads[:n_outputs], self.trace.grads[n_outputs:]
        fresh = [f"grad_{x}" for x in inputs] + [f"sum_{leaf}" for leaf in self.functions.summed]
        checkpoints = [f"{u}_checkpoints" for u in states]
        self._head(
            "backward",
            grads_out,
            [*map(str, grads_state), *checkpoints, *fresh],
            "CHECKPOINTS: tl.constexpr, FINALS: tl.constexpr",
        )
        with put:
            self._begin()
            for u, g in zip(states, grads_state, strict=True):
                put(f"{u}_grad = tl.zeros([BLOCK], tl.float32)")
                put(
                    "if FINALS:",
                    f"    {u}_grad = tl.load({g}_p + i, mask=mask, other=0.0).to(tl.float32)",
                )
            for p in learned:
                put(f"{p}_grad = tl.zeros([BLOCK], tl.float32)")
            put(f"for back in range(0, tl.cdiv(steps, {length})):")
            with put:
                put(
                    f"checkpoint = tl.cdiv(steps, {length}) - 1 - back",
                    f"first = checkpoint * {length}",
                )
                for u in states:
                    put(f"{u}_k0 = {u} + tl.zeros([BLOCK], tl.float32)", "if CHECKPOINTS:")
                    place = f"{u}_checkpoints_p + (wide + checkpoint) * elements + i"
                    put(f"    {u}_k0 = tl.load({place}, mask=mask, other=0.0)")
                self._replay(length)
                for k in reversed(range(length)):
                    put(f"if first + {k} < steps:")
                    with put:
                        self._pull(k, inputs, learned)
            if self.functions.factors:
                factors = [f"{p}_factor" for p in self.functions.factors]
                self._call(self.functions.scale, factors, self._names("now"))
                put(*(f"{p}_grad = {p}_grad * {p}_factor" for p in self.functions.factors))
            for leaf in self.functions.summed:
                if self.kinds[leaf] == "one":
                    value = f"tl.sum(tl.where(mask, {leaf}_grad, 0.0), 0)"
                    put(
                        f"if {leaf}_size == 1:",
                        f"    tl.store(sum_{leaf}_p + tl.program_id(0), {value})",
                    )
                    put("else:", f"    tl.store(sum_{leaf}_p + i, {leaf}_grad, mask=mask)")
                else:
                    put(f"tl.store(sum_{leaf}_p + i, {leaf}_grad, mask=mask)")

    def _replay(self, length: int) -> None:
        put = self.put
        for k in range(length):
            for x in self.trace.inputs:
                self._load(
                    str(x), f"(first + {k})", f"mask & (i * 0 + first + {k} < steps)", f"_k{k}"
                )
            if k + 1 < length:
                results = ["_"] * self.trace.n_outputs
                results += [f"{u}_k{k + 1}" for u in self.trace.states]
                self._call(self.functions.step, results, self._names(f"k{k}", f"k{k}"))
                n_outputs = self.trace.n_outputs
                for i, u in enumerate(self.trace.states):
                    name = f"{u}_k{k + 1}"
                    blocked = self._blocked(name, self.trace.results[n_outputs + i])
                    if blocked != name:
                        put(f"{name} = {blocked}")

    def _pull(self, k: int, inputs: Sequence[Node], learned: Sequence[Node]) -> None:
        put, n_outputs = self.put, self.trace.n_outputs
        for g in self.trace.grads[:n_outputs]:
            self._load(str(g), f"(first + {k})", "mask")
        names = self._names(f"k{k}", f"k{k}")
        if self.functions.replay.results:
            targets = [f"r{node.index}" for node in self.functions.replay.results]
            self._call(self.functions.replay, targets, names)
        leaves = [leaf for leaf in self.functions.leaves if self.functions.gradient(leaf)]
        if self.functions.pull.results:
            self._call(self.functions.pull, [f"d_{leaf}" for leaf in leaves], names)
        for x in inputs:
            put(f"tl.store(grad_{x}_p + (wide + first + {k}) * elements + i, d_{x}, mask=mask)")
        for u in self.trace.states:
            node = self.functions.gradient(u)
            zero = "tl.zeros([BLOCK], tl.float32)"
            put(f"{u}_grad = {zero if node is None else self._blocked(f'd_{u}', node)}")
        for p in learned:
            put(f"{p}_grad += d_{p}")

    def _head(self, name: str, grads: Sequence[Node], fresh: Sequence[str], constants: str) -> None:
        put = self.put
        arguments = [f"{x}_p, {x}_t, {x}_o" for x in self.trace.inputs]
        arguments += [f"{leaf}_p, {leaf}_run, {leaf}_size: tl.constexpr" for leaf in self.operands]
        arguments += [f"{g}_p, {g}_t, {g}_o" for g in grads]
        arguments += [f"{name}_p" for name in fresh]
        arguments += ["steps, elements, period", constants]
        put("", "", '@triton.jit(do_not_specialize=["steps"])', f"def {name}(")
        put(*(f"    {line}," for line in arguments))
        put("    DENSE: tl.constexpr, BLOCK: tl.constexpr,", "):")

    def _begin(self) -> None:
        put = self.put
        put(
            "i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)", "mask = i < elements"
        )
        put("o, q = i // period, i % period")
        # Offsets over time have 64 bits: a sequence may have more than 2^31 elements.
        put("wide = tl.program_id(0).to(tl.int64) * 0")
        for leaf, kind in self.kinds.items():
            if kind == "one":
                put(
                    f"if {leaf}_size == 1:",
                    f"    {leaf} = tl.broadcast_to(tl.load({leaf}_p).to(tl.float32), [BLOCK])",
                    "else:",
                )
                place = f"i // {leaf}_run % {leaf}_size"
                put(
                    f"    {leaf} = tl.load({leaf}_p + {place}, mask=mask, other=0.0).to(tl.float32)"
                )
            else:
                place = "q" if kind == "row" else "i"
                put(f"{leaf} = tl.load({leaf}_p + {place}, mask=mask, other=0.0).to(tl.float32)")
        prepare = self.functions.prepare
        if prepare.results:
            self._call(prepare, [f"r{node.index}" for node in prepare.results], self._names("now"))

    def _load(self, name: str, t: str, mask: str, suffix: str = "") -> None:
        put = self.put
        base = f"{name}_p + (wide + {t}) * {name}_t"
        put("if DENSE:")
        put(
            f"    {name}{suffix} = tl.load({base} + i, mask={mask}, other=0.0).to(tl.float32)",
            "else:",
        )
        place = f"{base} + o * {name}_o + q"
        put(f"    {name}{suffix} = tl.load({place}, mask={mask}, other=0.0).to(tl.float32)")

    def _names(self, states: str, inputs: str = "") -> dict[Node, str]:
        names = {x: f"{x}_{inputs}" if inputs else str(x) for x in self.trace.inputs}
        names |= {u: f"{u}_{states}" for u in self.trace.states}
        names |= {p: str(p) for p in self.functions.parameters}
        for node in (*self.functions.prepare.results, *self.functions.replay.results):
            names[node] = f"r{node.index}"
        for i, g in enumerate(self.trace.grads):
            n_outputs = self.trace.n_outputs
            names[g] = str(g) if i < n_outputs else f"{self.trace.states[i - n_outputs]}_grad"
        return names

    def _call(self, function: Function, targets: Sequence[str], names: dict[Node, str]) -> None:
        self.put(f"{', '.join(targets)} = {function.call(names)}")

    def _blocked(self, name: str, node: Node) -> str:
        """A value that is carried through time, as a block even if all elements share it."""
        varying = {*self.trace.inputs, *self.trace.states, *self.trace.grads}
        if varying & set(reachable([node])):
            return name
        return f"{name} + tl.zeros([BLOCK], tl.float32)"
