"""Gradients whose factors are finer or coarser than the parameters that they belong to."""

import itertools

import pytest
import torch
from torch import nn

from neurodyn.scan import scan
from tests.scan.contract import error

SHAPES = {"layer": (1,), "row": (300,), "block": (6, 1), "full": (6, 300)}


class Mixed(nn.Module):
    """The gradients of `a` and of `b` have factors of both."""

    def __init__(self, a, b):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.a = nn.Parameter(0.5 + torch.rand(a, generator=generator, dtype=torch.float64))
        self.b = nn.Parameter(0.5 + torch.rand(b, generator=generator, dtype=torch.float64))

    def step(self, x, u):
        u = torch.tanh(0.3 * u + x / (torch.exp(self.a) * self.b))
        return u, u


def pulled(cell, x, backend):
    x = x.clone().requires_grad_()
    (y,), _, _ = scan(cell, (x,), (x.new_zeros(1),), backend=backend)
    (y * torch.arange(y.numel()).reshape(y.shape).sin()).sum().backward()
    found = [x.grad, cell.a.grad, cell.b.grad]
    cell.zero_grad()
    return found


@pytest.mark.parametrize(("a", "b"), itertools.product(SHAPES, SHAPES))
def test_a_factor_is_applied_where_it_is_one_number(a, b):
    x = torch.randn(20, 6, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cell = Mixed(SHAPES[a], SHAPES[b])
    truth = pulled(cell, x, "reference")
    for value, exact in zip(pulled(cell, x, "cpu"), truth, strict=True):
        assert error(value, exact) < 1e-12
    cell.float()
    for value, exact in zip(pulled(cell, x.float(), "cpu"), truth, strict=True):
        assert error(value, exact) < 1e-5
