"""Random steps out of the supported operations: what becomes of them against the plain loop.

Most examples check the trace, its derivative and the printed functions, which run as plain Python
on float64 numbers; a few are compiled. `NEURODYN_EXAMPLES=20000` asks for a longer run.
"""

import math
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from neurodyn.scan import scan
from neurodyn.scan.cpu_source import NUMBA
from neurodyn.scan.plan import plan_of
from neurodyn.scan.printer import Source, print_function

EXAMPLES = int(os.environ.get("NEURODYN_EXAMPLES", "500"))
T, N = 3, 4

UNARY = {
    "neg": lambda a: -a,
    "abs": torch.abs,
    "sign": torch.sign,
    "exp": lambda a: torch.exp(a.clamp(-3, 3)),
    "expm1": lambda a: torch.expm1(a.clamp(max=2.0)),
    "log": lambda a: torch.log(a.abs() + 0.5),
    "log1p": lambda a: torch.log1p(a * a),
    "sqrt": lambda a: torch.sqrt(a.abs() + 0.5),
    "rsqrt": lambda a: torch.rsqrt(a * a + 0.5),
    "pow": lambda a: (a.abs() + 0.5) ** 1.7,
    "cube": lambda a: a.clamp(-4, 4) ** 3,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": nn.functional.softplus,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "floor": torch.floor,
    "round": torch.round,
    "detach": torch.Tensor.detach,
    "cast": lambda a: (a > 0.1).to(a.dtype),
    "relu": torch.relu,
    "halve": lambda a: 0.5 * a - 0.1,
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": lambda a, b: torch.tanh(a) * b,
    "div": lambda a, b: a / (b * b + 0.7),
    "pow": lambda a, b: (a.abs() + 0.5) ** torch.tanh(b),
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "clamp": lambda a, b: torch.clamp(a, max=b),
}
CHOICES = {"lt": torch.lt, "ge": torch.ge, "ne": torch.ne}


class Random(nn.Module):
    """A step made of instructions, each on values that are there already."""

    def __init__(self, n_inputs, n_states, n_parameters, program, results):
        super().__init__()
        self.n_inputs, self.n_states = n_inputs, n_states
        self.p = nn.ParameterList(torch.tensor(0.4 + 0.3 * i) for i in range(n_parameters))
        self.program, self.results = program, results

    def step(self, *arguments):
        values = [*arguments, *self.p]
        for name, places in self.program:
            given = [values[place % len(values)] for place in places]
            if name in UNARY:
                values.append(UNARY[name](given[0]))
            elif name in BINARY:
                values.append(BINARY[name](*given[:2]))
            else:
                values.append(torch.where(CHOICES[name](*given[:2]), given[2], given[3]))
        # Bounded, or a state would run away; varying, or there is nothing to compare.
        mixed = [torch.sin(values[-1 - r % len(values)] + 0.3 * arguments[0]) for r in self.results]
        return tuple(mixed)


@st.composite
def cells(draw):
    n_inputs, n_states = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    names = st.sampled_from([*UNARY, *BINARY, *CHOICES])
    places = st.tuples(*[st.integers(0, 30)] * 4)
    program = draw(st.lists(st.tuples(names, places), min_size=1, max_size=10))
    results = draw(st.lists(st.integers(0, 15), min_size=n_states + 1, max_size=n_states + 2))
    return Random(n_inputs, n_states, draw(st.integers(0, 3)), tuple(program), tuple(results))


def sequences(cell, dtype):
    generator = torch.Generator().manual_seed(len(cell.program))
    x = torch.randn(cell.n_inputs, T, N, generator=generator, dtype=torch.float64)
    u = torch.randn(cell.n_states, N, generator=generator, dtype=torch.float64)
    return list(x.to(dtype).unbind(0)), list(u.to(dtype).unbind(0))


def by_scan(cell, dtype, backend):
    cell.to(dtype)
    xs, us = sequences(cell, dtype)
    leaves = [leaf.requires_grad_() for leaf in (*xs, *us)]
    outputs, finals, _ = scan(cell, xs, us, backend=backend)
    results = [*outputs, *finals]
    loss = sum((y * weights(y)).sum() for y in results)
    leaves += list(cell.p)
    if not loss.requires_grad:
        return [*results, *map(torch.zeros_like, leaves)]
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    zeros = map(torch.zeros_like, leaves)
    return [*results, *(z if g is None else g for g, z in zip(grads, zeros, strict=True))]


def weights(y):
    return torch.arange(1.0, y.numel() + 1, dtype=y.dtype).cos().reshape(y.shape)


PYTHON = {
    "real": float,
    "int64": int,
    "where": lambda c, a, b: a if c else b,
    "minimum": min,
    "maximum": max,
    "absolute": abs,
    "nearest": round,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "njit": lambda **_: lambda function: function,
    "EXACT": {},
    "FAST": {},
    **{name: getattr(math, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh")},
    **{name: getattr(math, name) for name in ("sin", "cos", "erf", "floor", "ceil", "trunc")},
}


def by_printed_functions(cell):
    """The functions of a CPU kernel, as Python, in the loops that a kernel has around them."""
    cell.double()
    plan, tensors = plan_of(cell, cell.n_inputs, cell.n_states, torch.float64)
    trace = plan.trace
    parts, _ = plan.parts((True,) * len(trace.vjp))
    source, functions = Source(), dict(PYTHON)
    for function in (parts.prepare, parts.step, parts.replay, parts.pull):
        if function.results:
            print_function(source, function, NUMBA, fast=False)
    exec(source.text(), functions)

    def call(function, known):
        if not function.results:
            return ()
        names = [known[node] for node in function.arguments]
        out = functions[function.name](*names)
        return out if isinstance(out, tuple) else (out,)

    xs, us = sequences(cell, torch.float64)
    n_outputs = trace.n_outputs
    ys = [torch.zeros(T, N, dtype=torch.float64) for _ in range(n_outputs)]
    finals = [torch.zeros(N, dtype=torch.float64) for _ in us]
    w_ys, w_finals = [weights(y) for y in ys], [weights(u) for u in finals]
    leaves = parts.leaves
    sums = {leaf: torch.zeros(T, N, dtype=torch.float64) for leaf in trace.inputs}
    sums |= {leaf: torch.zeros(N, dtype=torch.float64) for leaf in trace.states}
    sums |= dict.fromkeys(trace.parameters, 0.0)
    fixed = {p: t.item() for p, t in zip(trace.parameters, tensors, strict=True)}
    ready = call(parts.prepare, fixed)
    fixed |= dict(zip(parts.prepare.results, ready, strict=True))
    for j in range(N):
        state, visited = [u[j].item() for u in us], []
        for t in range(T):
            known = fixed | {leaf: x[t, j].item() for leaf, x in zip(trace.inputs, xs, strict=True)}
            known |= dict(zip(trace.states, state, strict=True))
            visited.append(known)
            out = call(parts.step, known)
            for y, value in zip(ys, out[:n_outputs], strict=True):
                y[t, j] = value
            state = out[n_outputs:]
        for u, value in zip(finals, state, strict=True):
            u[j] = value
        back = [w[j].item() for w in w_finals]
        for t in reversed(range(T)):
            known = visited[t]
            cotangents = [*(w[t, j].item() for w in w_ys), *back]
            known |= dict(zip(trace.grads, cotangents, strict=True))
            replayed = call(parts.replay, known)
            known |= dict(zip(parts.replay.results, replayed, strict=True))
            pulled = iter(call(parts.pull, known))
            grads = {leaf: next(pulled) if parts.gradient(leaf) else 0.0 for leaf in leaves}
            for leaf in trace.inputs:
                sums[leaf][t, j] = grads[leaf]
            for leaf in trace.parameters:
                sums[leaf] += grads[leaf]
            back = [grads[leaf] for leaf in trace.states]
        for leaf, value in zip(trace.states, back, strict=True):
            sums[leaf][j] = value
    by_tensor = {id(t): sums[p] for t, p in zip(tensors, trace.parameters, strict=True)}
    of_parameters = [torch.tensor(by_tensor.get(id(p), 0.0), dtype=torch.float64) for p in cell.p]
    return [*ys, *finals, *(sums[leaf] for leaf in leaves[: len(xs) + len(us)]), *of_parameters]


def agree(given, truth, tolerance):
    for value, expected in zip(given, truth, strict=True):
        distance = (value.double() - expected.double()).norm()
        assert distance <= tolerance * (1 + expected.double().norm())


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=EXAMPLES == 500,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@examples(EXAMPLES)
@given(cells())
def test_printed_functions(cell):
    agree(by_printed_functions(cell), by_scan(cell, torch.float64, "reference"), 1e-9)


@examples(max(6, EXAMPLES // 100))
@given(cells())
def test_compiled(cell):
    truth = by_scan(cell, torch.float64, "reference")
    agree(by_scan(cell, torch.float64, "cpu"), truth, 1e-9)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")
@examples(max(20, EXAMPLES // 20))
@given(cells())
def test_interpreted(cell):
    truth = by_scan(cell, torch.float32, "reference")
    agree(by_scan(cell, torch.float32, "gpu"), truth, 1e-4)
