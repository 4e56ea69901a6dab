"""Recurrence, against the equations of arXiv:2512.01906 written out as a loop."""

import warnings
from functools import partial

import pytest
import torch

from neurodyn.layers import Delayed, DelayLine, Recurrent
from neurodyn.neurons import QIF, AdLIF, DecayLIF
from neurodyn.surrogate import Rectangle

T, B, N = 40, 3, 6


def radlif(x, cell, V, drive):
    """RadLIF; with a = b = 0 it is RLIF."""
    u = w = s = torch.zeros(B, N)
    out = []
    for current, d in zip(x, drive, strict=True):
        current = current + s @ V
        w = cell["beta"] * w + cell["a"] * u + cell["b"] * s
        u = cell["alpha"] * (u - s) + (1 - cell["alpha"]) * (current - w) + d
        s = (u >= 1).float()
        out.append(s)
    return torch.stack(out)


def without_diagonal(V):
    return V - torch.diag(torch.diag(V))


@pytest.mark.parametrize("delays", [False, True])
def test_rlif(delays):
    x = 2 * torch.randn(T, B, N)
    layer = Recurrent(N, neuron=partial(DecayLIF, per="neuron"))
    outer, drive = layer, torch.zeros_like(x)
    if delays:  # of the input alone: the line does not see the recurrence
        outer = Delayed(N, neuron=lambda shape: layer, order=4)
        drive = outer.line(x)
    cell = {"alpha": layer.neuron.alpha.detach(), "beta": 0.0, "a": 0.0, "b": 0.0}
    expected = radlif(x, cell, without_diagonal(layer.V), drive)
    assert 0.05 < expected.mean() < 0.9
    assert torch.equal(outer(x), expected)


def test_radlif():
    x = 2 * torch.randn(T, B, N)
    layer = Recurrent(N, neuron=partial(AdLIF, per="neuron"))
    neuron = layer.neuron
    cell = {name: getattr(neuron, name).detach() for name in ("alpha", "beta", "a", "b")}
    expected = radlif(x, cell, without_diagonal(layer.V), torch.zeros_like(x))
    assert 0.05 < expected.mean() < 0.9
    assert torch.equal(layer(x), expected)


def test_gradient_is_that_of_the_loop():
    x = torch.randn(8, B, N, dtype=torch.float64)
    layer = Recurrent(N, neuron=partial(QIF, surrogate=Rectangle(2.0))).double()
    leaves = [x.requires_grad_(), *layer.parameters()]
    s, u, out = x.new_zeros(B, N), layer.neuron.u_0.double().expand(B, N), []
    for current in x:
        s, u = layer.neuron.step(current + s @ without_diagonal(layer.V), u)
        out.append(s)
    weights = torch.randn(8, B, N, dtype=torch.float64)
    expected = torch.autograd.grad((torch.stack(out) * weights).sum(), leaves)
    given = torch.autograd.grad((layer(x) * weights).sum(), leaves)
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_diagonal_has_neither_effect_nor_gradient():
    layer = Recurrent(N)
    x = 2 * torch.randn(T, B, N)
    before = layer(x)
    before.sum().backward()
    assert (torch.diag(layer.V.grad) == 0).all()
    assert layer.V.grad.count_nonzero() == N * (N - 1)
    with torch.no_grad():
        layer.V.fill_diagonal_(100)
    assert torch.equal(layer(x), before)


def test_weights_start_orthogonal():
    V = Recurrent(N).V
    torch.testing.assert_close(V @ V.T, torch.eye(N))


def test_chunks():
    layer = Recurrent(N, neuron=AdLIF)
    x = 2 * torch.randn(T, B, N)
    drive = DelayLine(N, 3)(x)
    first, state = layer(x[:7], drive=drive[:7], return_state=True)
    assert len(state) == 1 + len(layer.neuron.states)
    rest = layer(x[7:], state, drive=drive[7:])
    assert torch.equal(torch.cat([first, rest]), layer(x, drive=drive))


def test_half_precision():
    layer = Recurrent(N)
    x = torch.randn(T, B, N).bfloat16()
    out, (s, u) = layer(x, return_state=True)
    assert out.dtype == torch.bfloat16
    assert u.dtype == s.dtype == torch.float32
    assert torch.equal(out.float(), layer(x.float()))


def test_derived_windows_follow_the_parameters():
    layer = Recurrent(N, neuron=partial(QIF, surrogate=Rectangle("derived")))
    width = 2 * layer.neuron.variance().sqrt().item()
    fixed = Recurrent(N, neuron=partial(QIF, surrogate=Rectangle(width)))
    fixed.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(T, B, N, requires_grad=True)
    weight = torch.randn(T, B, N)
    grads = [torch.autograd.grad((one(x) * weight).sum(), x)[0] for one in (layer, fixed)]
    torch.testing.assert_close(*grads)
    assert layer.neuron.spike.width == 1, "nothing is written into the neuron"


def test_errors():
    with pytest.raises(ValueError, match=r"features: expected a dense layer's .*got \(2, 3, 3\)"):
        Recurrent((2, 3, 3))
    with pytest.raises(TypeError, match=r"neuron: expected one with a step, got Delayed; delays"):
        Recurrent(N, neuron=Delayed)
    with pytest.raises(ValueError, match=r"x: expected \(T, B, 6\), got \(4, 2, 5\)"):
        Recurrent(N)(torch.zeros(4, 2, 5))


def test_bad_states():
    layer, x, zero = Recurrent(N, neuron=DecayLIF), torch.randn(T, B, N), torch.zeros(B, N)
    with pytest.raises(ValueError, match=r"state: s expected shape \(3, 6\), got \(1, 6\)"):
        layer(x, (torch.zeros(1, N), zero))
    with pytest.raises(ValueError, match=r"state: expected a tuple of \(s, u\), got 1 entries"):
        layer(x, (zero,))
    assert torch.equal(layer(x, (zero.double(), zero)), layer(x))


@pytest.mark.parametrize("delays", [False, True])
def test_the_kernel_is_the_loop(delays):
    layer = Recurrent(N, neuron=partial(AdLIF, per="neuron"))
    outer = Delayed(N, neuron=lambda shape: layer, order=4) if delays else layer
    outer.double()
    x, weight = (torch.randn(T, B, N, dtype=torch.float64) for _ in range(2))
    leaves = [(3 * x).requires_grad_(), *outer.parameters()]
    found = []
    for backend in ("reference", "cpu"):
        layer.neuron.backend = backend
        spikes = outer(leaves[0])
        assert 0.05 < spikes.mean() < 0.9
        grads = torch.autograd.grad((spikes * weight).sum(), leaves, allow_unused=True)
        found.append([spikes, *grads])
    for one, other in zip(*found, strict=True):
        assert (one is None and other is None) or torch.allclose(one, other, atol=1e-10)


def test_a_backend_without_feedback_is_no_error():
    layer = Recurrent(N, neuron=partial(AdLIF, backend="gpu"))
    x = torch.randn(T, B, N)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(x)


def test_recurrent_weights_start_orthogonal_times_a_gain():
    torch.manual_seed(0)
    V = Recurrent(8, gain=0.1).V
    torch.testing.assert_close(V @ V.T, 0.01 * torch.eye(8))
    assert Recurrent(8, gain=0.0).V.eq(0).all()
    with pytest.raises(ValueError, match=r"gain: expected a number of at least 0, got -1"):
        Recurrent(8, gain=-1.0)


def test_what_is_recorded_is_the_state_after_each_step():
    layer = Recurrent(N, neuron=AdLIF)
    x, state, after = 2 * torch.randn(T, B, N), None, []
    drive = DelayLine(N, 3)(x)
    for t in range(T):
        _, state = layer(x[t : t + 1], state, drive=drive[t : t + 1], return_state=True)
        after.append(state)
    recorded = layer.record(x, drive=drive)
    assert list(recorded) == ["spikes", "u", "w", "s"]
    for course, expected in zip(recorded.values(), zip(*after, strict=True), strict=True):
        assert torch.equal(course, torch.stack(expected))


def test_gradients_through_what_is_recorded():
    layer = Recurrent(N, neuron=partial(AdLIF, per="neuron")).double()
    x = (3 * torch.randn(T, B, N, dtype=torch.float64)).requires_grad_()
    weights, found = torch.randn(4, T, B, N, dtype=torch.float64), []
    for backend in ("reference", "cpu"):
        layer.neuron.backend = backend
        loss = (torch.stack(list(layer.record(x).values())) * weights).sum()
        found.append(torch.autograd.grad(loss, [x, *layer.parameters()]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
