"""What takes long to compute is kept on the way to the states, and loaded on the way back."""

import pytest
import torch
from torch import nn

from neurodyn.neurons import EIF, TanhNet
from neurodyn.scan import kernel_source, scan
from neurodyn.scan.cpu import math as functions
from tests.scan.contract import check

LONG = [
    (torch.exp, "exp"),
    (torch.expm1, "expm1"),
    (lambda x: torch.log(2 + x), "log"),
    (torch.sin, "sin"),
    (torch.erf, "erf"),
    (torch.sigmoid, "exp"),
    (torch.tanh, "expm1"),
    (lambda x: torch.log1p(x * x), "log"),
]
"""Functions, and the operation that takes long in each."""


class Charged(nn.Module):
    """A function that the new state and the gradients need."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def step(self, x, u):
        value = self.function(0.1 * u)
        u = value * value + x
        return u, u


class Shown(nn.Module):
    """A function that only an output needs."""

    def step(self, x, u):
        return torch.exp(u * x), 0.9 * u + x


@pytest.fixture
def vectors(monkeypatch):
    """How many times a function of vectors is printed in both kernels."""

    def count(cell, op):
        found, function = [], functions.OPERATIONS[op]

        def recording(*args):
            found.append(args[0].lanes)
            return function(*args)

        monkeypatch.setitem(functions.OPERATIONS, op, recording)
        kernel_source(cell, backend="cpu")
        return sum(lanes > 1 for lanes in found)

    return count


@pytest.mark.parametrize(("function", "op"), LONG)
def test_it_is_computed_once_on_the_way_back(function, op, vectors):
    """Forward has two loops of vectors, as results go past the cache or not. The way back has one
    to the states, and two to the gradients."""
    assert vectors(Charged(function), op) == 2 + 1


def test_a_power_is_kept_and_that_of_its_derivative_is_not(vectors):
    assert vectors(Charged(lambda x: (2 + x) ** (1.1 + x)), "pow") == 2 + 1 + 2


def test_what_no_state_needs_is_not_kept(vectors):
    assert vectors(Shown(), "exp") == 2 + 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", [EIF, TanhNet], ids=lambda cell: cell.__name__)
@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (7, 16), (8, 19), (38, 33)])
def test_any_number_of_rows_side_by_side(cell, batch, steps, dtype):
    """One value or several beside the neck; one block, two or four at once, with a remainder; in
    whole segments of time, and with a shorter one."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(steps, batch, 530, generator=generator, dtype=torch.float64)
    check(cell(530, per="neuron"), x, "cpu", dtype)


class Many(nn.Module):
    """More functions than a processor has registers, or ways of a cache."""

    def step(self, x, u):
        new = 0.5 * u + x
        for k in range(1, 61):
            new = new + torch.exp(-((u - k / 60) ** 2)) / 60
        return new, new


def test_many():
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(40, 70, generator=generator, dtype=torch.float64)
    grads = {}
    for backend in ("cpu", "reference"):
        given = x.clone().requires_grad_()
        (y,), *_ = scan(Many(), (given,), (torch.zeros((), dtype=x.dtype),), backend=backend)
        y.square().sum().backward()
        grads[backend] = given.grad
    torch.testing.assert_close(grads["cpu"], grads["reference"], rtol=1e-10, atol=1e-10)
