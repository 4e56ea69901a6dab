"""Random steps made of the supported operations: their kernels against the plain loop.

`-m slow` tries 500; `NEURODYN_EXAMPLES=20000` sets the number of the usual run.
"""

import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from neurodyn.scan import scan

USUAL = 30
EXAMPLES = int(os.environ.get("NEURODYN_EXAMPLES", USUAL))
MANY = 500
SHAPES = [(3, 4)] * 5 + [(19, 37)]
"""Steps and neurons: few mostly; sometimes more than a segment of time and a vector hold."""

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
    "level": lambda a: torch.round(a / 0.3).clamp(min=1),
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


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Hundreds of kernels that are never used again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURODYN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class Random(nn.Module):
    """A step made of instructions, each on values that are there already."""

    def __init__(self, n_inputs, n_states, n_parameters, program, results, shape):
        super().__init__()
        self.shape = shape
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
    n_parameters, shape = draw(st.integers(0, 3)), draw(st.sampled_from(SHAPES))
    return Random(n_inputs, n_states, n_parameters, tuple(program), tuple(results), shape)


def sequences(cell, dtype):
    generator = torch.Generator().manual_seed(len(cell.program))
    x = torch.randn(cell.n_inputs, *cell.shape, generator=generator, dtype=torch.float64)
    u = torch.randn(cell.n_states, cell.shape[1], generator=generator, dtype=torch.float64)
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


def agree(given, truth, tolerance):
    for value, expected in zip(given, truth, strict=True):
        distance = (value.double() - expected.double()).norm()
        assert distance <= tolerance * (1 + expected.double().norm())


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=EXAMPLES == USUAL,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def check_in_float64(cell):
    truth = by_scan(cell, torch.float64, "reference")
    agree(by_scan(cell, torch.float64, "cpu"), truth, 1e-9)


def check_in_float32(cell, backend="cpu"):
    truth = by_scan(cell, torch.float32, "reference")
    agree(by_scan(cell, torch.float32, backend), truth, 1e-4)


@examples(EXAMPLES)
@given(cells())
def test_compiled(cell):
    check_in_float64(cell)


@pytest.mark.slow
@examples(MANY)
@given(cells())
def test_many_compiled(cell):
    check_in_float64(cell)


@examples(max(20, EXAMPLES // 10))
@given(cells())
def test_compiled_in_float32(cell):
    check_in_float32(cell)


@pytest.mark.slow
@examples(MANY // 10)
@given(cells())
def test_many_compiled_in_float32(cell):
    check_in_float32(cell)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")
@examples(max(20, EXAMPLES // 20))
@given(cells())
def test_interpreted(cell):
    check_in_float32(cell, "gpu")
