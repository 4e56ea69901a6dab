"""Functions that are defined once, on every target, against PyTorch's in float64."""

import math

import pytest
import torch

from neurodyn.scan import scan
from neurodyn.step.graph import OPS
from neurodyn.step.lowered import RULES
from tests.scan.cpu.test_math import Applied

# The interpreter computes with NumPy, which warns of infinities.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

FUNCTIONS = {
    "sign": torch.sign,
    "minimum": lambda x: torch.minimum(x, 1 - x),
    "maximum": lambda x: torch.maximum(x, 1 - x),
    "rsqrt": torch.rsqrt,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "trunc": torch.trunc,
    "round": torch.round,
    "pow": lambda x: x**3.5 + 2.0**x,
}
TARGETS = {"cpu": torch.float32, "cpu double": torch.float64, "gpu": torch.float32}
SPECIAL = (0.0, math.inf, -math.inf, math.nan, -1.0, 0.5, 1.5, 2.5, -0.5, 0.49999997, 8388609.0)


def applied(function, x, target):
    (y,), _, _ = scan(Applied(function), (x[None],), (x.new_zeros(()),), backend=target.split()[0])
    return y[0].double()


def numbers(dtype):
    small = torch.logspace(-30, 0, 301, dtype=torch.float64)
    wide = torch.linspace(-30, 30, 501, dtype=torch.float64)
    return torch.cat([small, -small, wide, torch.tensor(SPECIAL, dtype=torch.float64)]).to(dtype)


def test_every_definition_is_tested():
    assert RULES.keys() == FUNCTIONS.keys()
    assert RULES.keys() < OPS


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, target):
    dtype = TARGETS[target]
    x = numbers(dtype)
    y, truth = applied(FUNCTIONS[name], x, target), FUNCTIONS[name](x.double()).to(dtype).double()
    assert torch.equal(y.isnan(), truth.isnan())
    assert torch.equal(y[truth.isinf()], truth[truth.isinf()])
    ordinary = truth.isfinite()
    relative = (y - truth)[ordinary].abs() / truth[ordinary].abs().clamp(min=1e-37)
    # Exponents of powers make the rounding of a logarithm larger.
    bound = 2e-15 if dtype == torch.float64 else 1e-5 if name == "pow" else 3e-7
    assert relative.max() <= bound, x[ordinary][relative.argmax()]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_powers_of_minus_one_and_of_zero(target):
    a, b = torch.meshgrid(
        torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0, math.inf, -math.inf, math.nan]),
        torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0, 3.0, math.inf, -math.inf, math.nan]),
        indexing="ij",
    )

    class Power(Applied):
        def step(self, x, y, u):
            return x**y, u

    (y,), _, _ = scan(Power(None), (a[None], b[None]), (torch.zeros(()),), backend=target)
    torch.testing.assert_close(y[0], a**b, equal_nan=True, rtol=1e-6, atol=0)
