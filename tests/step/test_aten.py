"""Every operation that a step may use, in kernels, against the plain loop in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neurodyn.scan import scan
from neurodyn.step.graph import OPS
from neurodyn.step.program import program_of
from tests.scan.contract import error


def arithmetic(x, y, u, p):
    v = (x + y) * p - u / (1.5 + y * y) + (-x).abs() * torch.sign(y) + 2 / (3 + x.square())
    return v.sin() + torch.addcmul(u, x, y, value=0.3), torch.lerp(u, x, 0.2) + (1 - p).cos()


def choices(x, y, u, p):
    high = torch.where((x > y) & ~(u >= p) | (x == 0), x * u, y)
    low = torch.minimum(torch.maximum(x, u), y.clamp(-0.5, 0.8)) + torch.clamp(u, min=p)
    other = torch.where(torch.logical_and(x <= u, y < 1) | (x != x), p * x, F.relu(u))
    return high + low, 0.5 * other + F.leaky_relu(y, 0.1) + F.hardtanh(x)


def powers(x, y, u, p):
    a, b = x.abs() + 0.5, u.square() + 0.3
    v = a.sqrt() + b.rsqrt() + a**2.5 + b**3 + a**-1 + a**p + torch.reciprocal(b)
    return v, 0.3 * u + a.log() + torch.log1p(b) + torch.expm1(0.3 * y)


def smooth(x, y, u, p):
    v = torch.sigmoid(p * x) + torch.tanh(u) * F.softplus(y) + (-x * x).exp() + torch.erf(y)
    return v + F.silu(x), 0.5 * u + F.gelu(y) + F.softplus(x, beta=2.0)


def steps(x, y, u, p):
    whole = torch.floor(2 * x) + torch.ceil(y) + torch.round(3 * u) + torch.trunc(4 * x)
    counted = (x > 0).to(x.dtype) + (y > u).int() * 0.5 + torch.isnan(x)
    return whole * u + p * x, 0.5 * u + y.detach() * x + counted * p


def composed(x, y, u, p):
    v = torch.atan(3 * x) + torch.atan(0.1 * p * u) + torch.exp2(y) + torch.log2(1.5 + x * x)
    v = v + torch.log10(p + u * u) * F.logsigmoid(4 * y) + F.elu(2 * x, 0.7) * F.selu(u)
    w = torch.addcdiv(u, x, 1 + y * y, value=0.3) + torch.lerp(x, y, torch.sigmoid(p * u))
    return v, 0.3 * w + F.hardsigmoid(4 * x) * F.celu(y, 0.5)


def truths(x, y, u, p):
    # Sums of truth values are "or", products "and".
    a, b = x > 0, y > 0
    count = (a + b).to(x.dtype) + 2 * (a * b).to(x.dtype) + 4 * torch.maximum(a, b)
    finite = torch.isfinite(u) & ~torch.isinf(torch.where(a, torch.inf, x))
    whole = torch.floor(3 * x.int()) + torch.round((4 * y).long()) + torch.trunc(b.int())
    return count * u + p * x, torch.where(finite, u, y) * 0.5 + whole * p


def scaled(x, y, u, p):
    return torch.rsub(x, u, alpha=2) + torch.sub(p * y, u, alpha=3), torch.add(u, x, alpha=0.5) * p


CELLS = {
    f.__name__: f for f in (arithmetic, choices, powers, smooth, steps, composed, truths, scaled)
}


class Cell(nn.Module):
    """Two inputs, an output and a state, around a function of them and of a parameter."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.p = nn.Parameter(torch.tensor(0.7))

    def step(self, x, y, u):
        return self.function(x, y, u, self.p)


def results(cell, x, y, u, backend):
    leaves = [leaf.detach().requires_grad_() for leaf in (x, y, u)]
    (output,), (final,), _ = scan(cell, leaves[:2], leaves[2:], backend=backend)
    weight = torch.arange(output.numel(), dtype=x.dtype).sin().view(output.shape)
    loss = (output * weight).sum() + (final * weight[0]).sum()
    return [output, final, *torch.autograd.grad(loss, [*leaves, cell.p])]


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("name", CELLS)
def test_operations(name, backend):
    cell = Cell(CELLS[name])
    x, y = torch.randn(2, 5, 3, 11).unbind(0)
    u = torch.randn(3, 11)
    truth = results(cell.double(), x.double(), y.double(), u.double(), "reference")
    given = results(cell.float(), x, y, u, backend)
    for value, expected in zip(given, truth, strict=True):
        assert error(value, expected) < 2e-6


def test_no_operation_is_left_out():
    used = set()
    for function in CELLS.values():
        program, _ = program_of(Cell(function), 2, 1, torch.float32)
        trace = program.trace
        todo = [*trace.results, *(g for g in trace.vjp if g is not None)]
        while todo:
            node = todo.pop()
            used.add(node.op)
            todo.extend(node.args)
    assert used - {"leaf", "const"} == OPS
