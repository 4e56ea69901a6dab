"""Whatever a user calls inputs, states and parameters, kernels are made and stay readable."""

import pytest
import torch
from torch import nn

from neurodyn.scan import kernel_source, scan
from tests.scan.contract import error

HOSTILE = [
    *("tl", "BLOCK", "MARKS", "KEEP", "DENSE", "LENGTH", "first", "last", "a", "r3", "i", "mask"),
    *("lambda", "None", "out0", "out0_p", "grad_x", "grad_out0", "d_x", "x_p", "x_now", "x_k0"),
    *("neck", "pulled", "steps", "prepare", "step", "triton", "τ", "größe", "__class__", "__x"),
    *("_", "i0_x", "s0_u", "p0"),
]


def hostile(x, u, parameter):
    """A cell whose step has these names."""

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self._parameters[parameter] = nn.Parameter(torch.tensor(0.7))

    source = f"""
def step(self, {x}, {u}):
    p = self._parameters[{parameter!r}]
    v = torch_tanh(p * {u} + {x})
    return v * {x}, 0.5 * {u} + p * v
"""
    room = {"torch_tanh": torch.tanh}
    exec(source, room)
    Cell.step = room["step"]
    return Cell()


def names():
    """Two as what the step is called with, and one as a parameter."""
    words = [name for name in HOSTILE if name not in ("lambda", "None")]
    return zip(words[::2], words[1::2], HOSTILE, strict=False)


def results(cell, x, u, backend):
    leaves = [x.detach().requires_grad_(), u.detach().requires_grad_()]
    (y,), (final,), _ = scan(cell, leaves[:1], leaves[1:], backend=backend)
    loss = (y * y).sum() + final.sum()
    return [y, final, *torch.autograd.grad(loss, [*leaves, *cell.parameters()])]


def check(cell, backend):
    x, u = torch.randn(10, 3), torch.randn(3)
    truth = results(cell.double(), x.double(), u.double(), "reference")
    for value, expected in zip(results(cell.float(), x, u, backend), truth, strict=True):
        assert error(value, expected) < 1e-4  # Sums may cancel; a wrong name is off by 1.


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_hostile_names(backend):
    for given in names():
        check(hostile(*given), backend)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_names_can_be_read_in_the_source(backend):
    source = kernel_source(hostile("current", "voltage", "time_constant"), backend)
    assert all(name in source for name in ("i0_current", "s0_voltage", "p0_time_constant"))


class Crowded(nn.Module):
    """All names at once: none is another's, nor what a kernel makes of another's."""

    def __init__(self):
        super().__init__()
        for name in HOSTILE:
            self._parameters[name] = nn.Parameter(torch.rand(()) + 0.5)

    def step(self, x, u):
        for name in HOSTILE:
            u = u * self._parameters[name]
        return torch.tanh(u + x), u + x


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_all_names_at_once(backend):
    check(Crowded(), backend)
