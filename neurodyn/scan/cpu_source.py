"""The source of a CPU kernel: the step's functions inside loops, for Numba.

The forward kernel reads the inputs and writes the outputs, and, where somebody asks for them, the
states at the start of every segment of time and the final states. The backward kernel goes over the
segments from the last to the first, reads the inputs again and computes the states within a segment
anew, and then the gradients. All of that happens column by column, inside the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.scan.graph import Node
from neurodyn.scan.layout import StaticKind
from neurodyn.scan.printer import Dialect, Function, Parts, Source, print_function

FUNCTIONS = ("exp", "expm1", "log", "log1p", "sigmoid", "tanh", "sin", "cos", "erf")
HEADER = (
    *("steps", "outer", "period", "inner", "pieces", "width", "groups"),
    *("elements", "length", "passing"),
)
"""What the argument array `a` starts with; three numbers for every tensor follow."""

NUMBA = Dialect(
    name="numba",
    calls={
        **{name: f"{name}({{0}})" for name in FUNCTIONS},
        "abs": "absolute({0})",
        "sign": "(real({0} > 0) - real({0} < 0))",
        "minimum": "minimum({0}, {1})",
        "maximum": "maximum({0}, {1})",
        "where": "where({0}, {1}, {2})",
        "not": "(not {0})",
        "sqrt": "sqrt({0})",
        "rsqrt": "(real(1.0) / sqrt({0}))",
        "pow": "real({0} ** {1})",
        "floor": "floor({0})",
        "ceil": "ceil({0})",
        "round": "nearest({0})",
        "trunc": "trunc({0})",
    },
    casts={"real": "real({0})", "int": "int64({0})", "bool": "({0} != 0)"},
    number="real({0})",
    exact="@njit(**EXACT)",
    fast="@njit(**FAST)",
)


def print_forward(parts: Parts, bits: int, kinds: Sequence[StaticKind]) -> str:
    """The module of the forward kernel.

    Args:
        parts: the functions; those for the derivative are left out.
        bits: 32 or 64, the size of a real.
        kinds: how each state and each of `parts.parameters` is found (`layout.Static`).
    """
    source = _imports(parts, bits)
    _functions(source, ((parts.prepare, False), (parts.step, False)))
    _Kernel(source, parts, kinds).forward()
    return source.text()


def print_backward(parts: Parts, bits: int, kinds: Sequence[StaticKind]) -> str:
    """The module of the backward kernel; arguments as for `print_forward`."""
    source = _imports(parts, bits)
    exact = (parts.prepare, False), (parts.step, False), (parts.replay, False)
    _functions(source, (*exact, (parts.pull, True)))
    _Kernel(source, parts, kinds).backward()
    return source.text()


def _imports(parts: Parts, bits: int) -> Source:
    source = Source()
    source("import numpy as np", "from numba import int64, njit", "")
    source("from neurodyn.scan.cpu_compile import kernel")
    for name in FUNCTIONS:
        source(f"from neurodyn.scan.cpu_math import {name}{bits} as {name}")
    for name in ("row", "write"):
        source(f"from neurodyn.scan.cpu_memory import {name}{bits} as {name}")
    source(
        "from neurodyn.scan.cpu_math import EXACT, FAST, absolute, add, ceil, floor",
        "from neurodyn.scan.cpu_math import maximum, minimum, nearest, sqrt, trunc, where",
        "from neurodyn.scan.cpu_memory import publish, sum64",
        "",
        f"real = np.float{bits}",
    )
    return source


def _functions(source: Source, functions: Sequence[tuple[Function, bool]]) -> None:
    for function, fast in functions:
        if function.results:
            print_function(source, function, NUMBA, fast=fast)


class _Kernel:
    """Writes the loops around the functions."""

    def __init__(self, source: Source, parts: Parts, kinds: Sequence[StaticKind]) -> None:
        self.put, self.parts, self.trace = source, parts, parts.trace
        self.statics = self.trace.states + parts.parameters
        self.kinds = dict(zip(self.statics, kinds, strict=True))

    def forward(self) -> None:
        put, states = self.put, self.trace.states
        outputs = [f"out{i}" for i in range(self.trace.n_outputs)]
        finals, marks = [f"{u}_final" for u in states], [f"{u}_marks" for u in states]
        self._head("forward", [*self.trace.inputs, *self.statics, *outputs, *finals, *marks])
        with put:
            self._scratch("width", *(f"{u}_now" for u in states), *(f"{y}_row" for y in outputs))
            put("for task in range(first, last):")
            with put:
                self._task_head()
                put("for o in range(outer * group // groups, outer * (group + 1) // groups):")
                with put:
                    self._full_rows()
                    self._start("now")
                    put("for t in range(steps):")
                    with put:
                        for u, name in zip(states, marks, strict=True):
                            at = "t // length * elements + o * period + q"
                            put(f"if {name}_p and t % length == 0:")
                            put(f"    write({name}_p, {at}, {u}_now, n, passing)")
                        self._rows(self.trace.inputs)
                        self._step("now", "now", [f"{name}_row[j]" for name in outputs])
                        self._write(outputs)
                    for u, name in zip(states, finals, strict=True):
                        put(f"if {name}_p:")
                        put(f"    write({name}_p, o * {name}_o + q, {u}_now, n, passing)")
            put("publish()")

    def backward(self) -> None:
        put, states = self.put, self.trace.states
        self.inputs = [x for x in self.trace.inputs if self.parts.gradient(x)]
        self.learned = [p for p in self.parts.parameters if self.parts.gradient(p)]
        marks, grads = [f"{u}_marks" for u in states], [f"grad_{x}" for x in self.inputs]
        sums = [f"sum_{leaf}" for leaf in (*states, *self.learned)]
        cotangents = self.trace.grads
        self._head(
            "backward", [*self.trace.inputs, *self.statics, *cotangents, *marks, *grads, *sums]
        )
        with put:
            self._scratch("width", *(f"{u}_grad" for u in states), *(f"{g}_row" for g in grads))
            self._scratch("length * width", *(f"{u}_kept" for u in states))
            rows = [p for p in self.learned if self.kinds[p] != "one"]
            self._scratch("width", *(f"{p}_grad" for p in rows))
            put("for task in range(first, last):")
            with put:
                self._task_head()
                self._clear_sums()
                put("for o in range(outer * group // groups, outer * (group + 1) // groups):")
                with put:
                    self._block()
                for leaf in (*states, *self.learned):
                    if self.kinds[leaf] == "one":
                        put(f"sum64(sum_{leaf}_p, task, 1)[0] = sum_{leaf}")
            put("publish()")

    def _block(self) -> None:
        """Backward through time, for one column of one block."""
        put, states = self.put, self.trace.states
        n_outputs = self.trace.n_outputs
        self._full_rows()
        for u, g in zip(states, self.trace.grads[n_outputs:], strict=True):
            put(f"if {g}_p:", f"    {u}_grad[:n] = row({g}_p, o * {g}_o + q, n)")
            put("else:", f"    {u}_grad[:n] = 0")
        for p in self.learned:
            if self.kinds[p] != "one":
                put(f"{p}_grad[:n] = 0")
        put("for segment in range((steps - 1) // length, -1, -1):")
        with put:
            put("begin = segment * length", "end = min(steps, begin + length)")
            put("if segment:")
            with put:
                for u in states:
                    at = "segment * elements + o * period + q"
                    put(f"{u}_kept[:n] = row({u}_marks_p, {at}, n)")
            put("else:")
            with put:
                self._start("kept")
            put("for t in range(begin, end - 1):")
            with put:
                self._kept_rows("at", "t - begin")
                self._kept_rows("next", "t - begin + 1")
                self._rows(self.trace.inputs)
                self._step("at", "next")
            put("for t in range(end - 1, begin - 1, -1):")
            with put:
                self._kept_rows("at", "t - begin")
                self._rows([*self.trace.inputs, *self.trace.grads[:n_outputs]])
                self._pull()
                self._write([f"grad_{x}" for x in self.inputs])
        for leaf in (*states, *self.learned):
            self._add_block(leaf)

    def _head(self, name: str, tensors: Sequence[object]) -> None:
        put = self.put
        put("", "", "@kernel", f"def {name}(first, last, a):")
        with put:
            put(f"{', '.join(HEADER)} = {', '.join(f'a[{i}]' for i in range(len(HEADER)))}")
            for i, tensor in enumerate(tensors):
                at = len(HEADER) + 3 * i
                put(f"{tensor}_p, {tensor}_t, {tensor}_o = a[{at}], a[{at + 1}], a[{at + 2}]")

    def _scratch(self, size: str, *names: str) -> None:
        for name in names:
            self.put(f"{name} = np.empty({size}, real)")

    def _task_head(self) -> None:
        put = self.put
        put(
            "column, group = task // groups, task % groups",
            "piece = column % pieces",
            "q = column // pieces * inner + piece * width",
            "n = min(width, inner - piece * width)",
        )
        for leaf, kind in self.kinds.items():
            if kind == "one":
                put(f"{leaf} = row({leaf}_p, q // {leaf}_t % {leaf}_o, 1)[0]")
            elif kind == "row":
                put(f"{leaf}_row = row({leaf}_p, q, n)")
        if self._hoisted:
            put(f"{self._assign(self.parts.prepare)}")

    @property
    def _hoisted(self) -> bool:
        """Whether what follows from the parameters is the same for a whole column."""
        prepare = self.parts.prepare
        return bool(prepare.results) and all(self.kinds[p] == "one" for p in prepare.arguments)

    def _start(self, place: str) -> None:
        """The states before the first step."""
        for u in self.trace.states:
            self.put(f"{u}_{place}[:n] = {u if self.kinds[u] == 'one' else f'{u}_row'}")

    def _full_rows(self) -> None:
        """What is read once a block."""
        for leaf, kind in self.kinds.items():
            if kind == "full":
                self.put(f"{leaf}_row = row({leaf}_p, o * {leaf}_o + q, n)")

    def _rows(self, tensors: Sequence[object]) -> None:
        for x in tensors:
            self.put(f"{x}_row = row({x}_p, t * {x}_t + o * {x}_o + q, n)")

    def _write(self, names: Sequence[str]) -> None:
        for name in names:
            at = f"t * {name}_t + o * {name}_o + q"
            self.put(f"write({name}_p, {at}, {name}_row, n, passing)")

    def _kept_rows(self, suffix: str, at: str) -> None:
        for u in self.trace.states:
            self.put(f"{u}_{suffix} = {u}_kept[({at}) * width :][:n]")

    def _names(self, states: str) -> dict[Node, str]:
        """What to call every argument of a function inside the loop over `j`."""
        names = {x: f"{x}_row[j]" for x in self.trace.inputs}
        names |= {u: f"{u}_{states}[j]" for u in self.trace.states}
        for p in self.parts.parameters:
            names[p] = str(p) if self.kinds[p] == "one" else f"{p}_row[j]"
        for node in (*self.parts.prepare.results, *self.parts.replay.results):
            names[node] = f"r{node.index}"
        for i, g in enumerate(self.trace.grads):
            n_outputs = self.trace.n_outputs
            of_state = self.trace.states[i - n_outputs] if i >= n_outputs else None
            names[g] = f"{of_state}_grad[j]" if of_state else f"{g}_row[j]"
        return names

    def _assign(self, function: Function, states: str = "now") -> str:
        targets = ", ".join(f"r{node.index}" for node in function.results)
        return f"{targets} = {function.call(self._names(states))}"

    def _element(self) -> None:
        if self.parts.prepare.results and not self._hoisted:
            self.put(self._assign(self.parts.prepare))

    def _step(self, source: str, target: str, outputs: Sequence[str] = ()) -> None:
        put = self.put
        put("for j in range(n):")
        with put:
            self._element()
            targets = list(outputs) or ["_"] * self.trace.n_outputs
            targets += [f"{u}_{target}[j]" for u in self.trace.states]
            put(f"{', '.join(targets)} = {self.parts.step.call(self._names(source))}")

    def _pull(self) -> None:
        put, states = self.put, self.trace.states
        ones = [p for p in self.learned if self.kinds[p] == "one"]
        for p in ones:
            put(f"{p}_grad = real(0)")
        put("for j in range(n):")
        with put:
            self._element()
            if self.parts.replay.results:
                put(self._assign(self.parts.replay, "at"))
            leaves = [leaf for leaf in self.parts.leaves if self.parts.gradient(leaf)]
            results = [f"d_{leaf}" for leaf in leaves]
            put(f"{', '.join(results)} = {self.parts.pull.call(self._names('at'))}")
            for x in self.inputs:
                put(f"grad_{x}_row[j] = d_{x}")
            for u in states:
                put(f"{u}_grad[j] = {f'd_{u}' if u in leaves else 'real(0)'}")
            for p in self.learned:
                at = "" if p in ones else "[j]"
                put(f"{p}_grad{at} = add({p}_grad{at}, d_{p})")
        for p in ones:
            put(f"sum_{p} += {p}_grad")

    def _clear_sums(self) -> None:
        for leaf in (*self.trace.states, *self.learned):
            kind = self.kinds[leaf]
            if kind == "one":
                self.put(f"sum_{leaf} = 0.0")
            elif kind == "row":
                self.put(f"sum_{leaf} = sum64(sum_{leaf}_p, group * sum_{leaf}_o + q, n)")
                self.put(f"sum_{leaf}[:] = 0")

    def _add_block(self, leaf: Node) -> None:
        put, kind = self.put, self.kinds[leaf]
        if kind == "full":
            put(f"row(sum_{leaf}_p, o * sum_{leaf}_o + q, n)[:] = {leaf}_grad[:n]")
            return
        if kind == "one" and leaf not in self.trace.states:
            return
        put("for j in range(n):")
        with put:
            if kind == "row":
                put(f"sum_{leaf}[j] += {leaf}_grad[j]")
            else:
                put(f"sum_{leaf} = add(sum_{leaf}, {leaf}_grad[j])")
