"""Functions of CPU kernels that are arithmetic alone, against PyTorch's in float64."""

import math

import pytest
import torch
from torch import nn

from neurodyn.scan import scan


class Applied(nn.Module):
    """A function of the input, as a step."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def step(self, x, u):
        return self.function(x), u


@pytest.mark.parametrize(
    ("name", "truth", "low", "high"),
    [
        ("exp", torch.exp, -87, 88),
        ("log", torch.log, 1e-37, 1e37),
        ("log1p", torch.log1p, -0.999, 1e6),
        ("expm1", torch.expm1, -20, 80),
        ("tanh", torch.tanh, -15, 15),
        ("sigmoid", torch.sigmoid, -80, 80),
        ("sin", torch.sin, -1e4, 1e4),
        ("cos", torch.cos, -1e6, 1e6),
    ],
)
def test_float32_functions(name, truth, low, high):
    x = torch.linspace(low, high, 200_001)
    if low > 0:
        x = torch.logspace(math.log10(low), math.log10(high), 200_001)
    small = torch.logspace(-20, 0, 1001)
    x = torch.cat([x, small, -small]) if low < -1 else x
    special = torch.tensor([0.0, math.inf, -math.inf, math.nan])
    x = torch.cat([x, special]).float()
    (y,), _, _ = scan(Applied(truth), (x[None],), (torch.zeros(()),), backend="cpu")
    y = y[0]
    expected = truth(x.double())
    ordinary = expected.isfinite() & (expected != 0)
    relative = ((y.double() - expected) / expected)[ordinary].abs()
    if name in ("sin", "cos"):  # near their zeros, x itself is known no better
        relative = (y.double() - expected)[ordinary].abs()
    assert relative.max() < 3e-7
    assert torch.equal(y.isnan(), expected.isnan())
    assert torch.equal(y[expected.isinf()].double(), expected[expected.isinf()])
