"""Delays, checked point by point against arXiv:2512.01906 written out as a loop."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.layers import Delayed, DelayLine, LearnedDelays, Recurrent
from neurodyn.neurons import LIF, AdLIF, DecayLIF, MultiTimescale, dynamics_parameters

T, B, N, ORDER = 12, 3, 5, 4


def shift_register(x, M, a=None):
    """The paper's recursion: shifted first, then read."""
    d = torch.zeros(len(M), *x.shape[1:], dtype=x.dtype)
    out = []
    for current in x:
        moved = d[:-1] if a is None else a[:, None] * d[:-1]
        d = torch.cat([current[None], moved])
        out.append((M[:, None] * d).sum(0))
    return torch.stack(out)


@pytest.mark.parametrize("learn_shift", [False, True])
def test_filter_register_and_equation_agree(learn_shift):
    line = DelayLine(N, ORDER, learn_shift=learn_shift)
    if learn_shift:
        nn.init.uniform_(line.a, -1, 1)
    x, upstream = torch.randn(2, T, B, N)
    leaves = [x.requires_grad_(), *line.parameters()]
    past, steps = torch.zeros(ORDER - 1, B, N), []
    for current in x:
        out, past = line.step(current, past)
        steps.append(out)
    expected = shift_register(x, line.M, line.a)
    gradients = torch.autograd.grad(expected, leaves, upstream)
    for form in (line(x), torch.stack(steps)):
        assert (form - expected).norm() < 2e-7 * expected.norm()
        for given, want in zip(torch.autograd.grad(form, leaves, upstream), gradients, strict=True):
            assert (given - want).norm() < 1e-6 * want.norm()


def test_agreement_in_float64():
    line = DelayLine((2, 3), ORDER, learn_shift=True).double()
    x = torch.randn(T, B, 2, 3, dtype=torch.float64)
    expected = shift_register(x, line.M, line.a)
    torch.testing.assert_close(line(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lag", range(ORDER))
def test_impulse_response(lag):
    line = DelayLine(N, ORDER)
    with torch.no_grad():
        line.M.copy_(torch.eye(ORDER)[lag, :, None].expand(ORDER, N))
    x = torch.zeros(T, B, N)
    x[2] = torch.randn(B, N)
    expected = torch.zeros_like(x)
    expected[2 + lag] = x[2]
    assert torch.equal(line(x), expected)


@pytest.mark.parametrize(
    ("weights", "row"),
    [
        ("ones", [1.0, 1.0, 1.0, 1.0]),
        ("exponential", [1, math.exp(-0.5), math.exp(-1), math.exp(-1.5)]),
        ("linear", [1.0, 0.75, 0.5, 0.25]),
    ],
)
@pytest.mark.parametrize("learn", [True, False])
def test_where_the_weights_start(weights, row, learn):
    M = DelayLine((2, 3), ORDER, weights=weights, learn=learn).M
    torch.testing.assert_close(M.data, torch.tensor(row).reshape(-1, 1, 1).expand(4, 2, 3))
    assert isinstance(M, nn.Parameter) == learn
    M.data[0, 0, 0] = 7  # each neuron has its own
    assert (M == 7).sum() == 1


def test_uniform_weights():
    M = DelayLine(1000, 4).M
    assert 0 <= M.min() < 0.01
    assert 0.99 < M.max() < 1
    assert M.mean().item() == pytest.approx(0.5, abs=0.02)


def test_half_precision_is_filtered_in_float32():
    line = DelayLine(N, ORDER)
    x = torch.randn(T, B, N).bfloat16()
    assert torch.equal(line(x), line(x.float()))
    synapses = LearnedDelays(N, 2, ORDER)
    synapses.eval()
    assert torch.equal(synapses(x), synapses(x.float()))


def test_line_in_chunks():
    line = DelayLine(N, ORDER, learn_shift=True)
    x = torch.randn(T, B, N)
    first, state = line(x[:1], return_state=True)
    second, state = line(x[1:3], state, return_state=True)
    torch.testing.assert_close(torch.cat([first, second, line(x[3:], state)]), line(x))
    assert state[0].shape == (ORDER - 1, B, N)
    assert torch.equal(state[0][1:], x[1:3])


def driven_lif(x, drive, alpha):
    """`u = alpha (u - s) + (1 - alpha) I + D`: D is not scaled, and only u is reset."""
    u, s, out = torch.zeros(B, N), torch.zeros(B, N), []
    for current, d in zip(x, drive, strict=True):
        u = alpha * (u - s) + (1 - alpha) * current + d
        s = (u >= 1).float()
        out.append(s)
    return torch.stack(out)


def test_delayed_lif_is_the_papers():
    layer = Delayed(N, neuron=partial(DecayLIF, per="neuron"), order=ORDER)
    x = torch.randn(50, B, N)
    expected = driven_lif(x, shift_register(x, layer.line.M), layer.neuron.alpha)
    assert 0.1 < expected.mean() < 0.9
    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("neuron", [LIF, AdLIF, MultiTimescale, Recurrent])
def test_without_weights_or_without_order_the_neuron_is_alone(neuron):
    torch.manual_seed(3)
    plain = neuron((N,))
    x = 2 * torch.randn(T, B, N)
    for order in (0, ORDER):
        torch.manual_seed(3)
        layer = Delayed(N, neuron=neuron, order=order)
        if layer.line is not None:
            nn.init.zeros_(layer.line.M)
        assert torch.equal(layer(x), plain(x))
        assert layer.threshold is layer.neuron.threshold
    assert plain(x).sum() > 0


def test_gradient_reaches_every_lag():
    layer = Delayed(N, order=ORDER, learn_shift=True)
    layer(torch.randn(T, B, N)).square().sum().backward()
    assert (layer.line.M.grad != 0).all()
    assert (layer.line.a.grad != 0).all()


def test_delayed_in_chunks():
    layer = Delayed((2, 3), neuron=AdLIF, order=ORDER)
    x = torch.randn(T, B, 2, 3)
    first, state = layer(x[:5], return_state=True)
    torch.testing.assert_close(torch.cat([first, layer(x[5:], state)]), layer(x))


def test_delays_are_dynamics():
    layer = Delayed(N, order=3, learn_shift=True)
    assert {id(layer.line.M), id(layer.line.a)} <= {id(p) for p in dynamics_parameters(layer)}
    frozen = Delayed(N, order=3, learn=False)
    assert not dynamics_parameters(frozen)
    assert list(frozen.state_dict()) == [
        *(f"neuron.{k}" for k in frozen.neuron.state_dict()),
        "line.M",
    ]
    delays = LearnedDelays(2, 3, order=4)
    assert dynamics_parameters(delays) == [delays.position]


def test_a_delay_is_learned_by_gradient():
    """Of ten lags, descent on M finds the one that made the target."""
    line = DelayLine(1, 10, weights="ones")
    x = torch.randn(200, 4, 1)
    target = shift_register(x, torch.eye(10)[6, :, None])
    optimiser = torch.optim.Adam(line.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        (line(x) - target).square().mean().backward()
        optimiser.step()
    torch.testing.assert_close(line.M.data[:, 0], torch.eye(10)[6], atol=0.02, rtol=0)


def test_errors_of_the_line():
    with pytest.raises(ValueError, match=r"order: expected at least 1 \(lag 0 alone\), got 0"):
        DelayLine(N, 0)
    with pytest.raises(ValueError, match="order: expected at least 1"):
        Delayed(N, order=-1)
    with pytest.raises(ValueError, match="features: expected the shape of one step"):
        DelayLine((3, -1), 2)
    with pytest.raises(ValueError, match=r"unknown name 'one'\. Did you mean 'ones'"):
        DelayLine(N, 2, weights="one")
    with pytest.raises(ValueError, match=r"x: expected \(T, B, 5\), got \(4, 2, 6\)"):
        DelayLine(N, 2)(torch.zeros(4, 2, 6))
    _, state = DelayLine(N, 3)(torch.zeros(4, 2, N), return_state=True)
    with pytest.raises(ValueError, match=r"state: expected the last inputs, \(2, 1, 5\), got"):
        DelayLine(N, 3)(torch.zeros(4, 1, N), state)


def by_synapse(x, weight, delay):
    """`y[t][o] = sum_i w[o, i] x[t - delay[o, i]][i]`."""
    y = torch.zeros(*x.shape[:2], len(weight))
    for o, i in ((o, i) for o in range(weight.shape[0]) for i in range(weight.shape[1])):
        for t in range(delay[o, i], len(x)):
            y[t, :, o] += weight[o, i] * x[t - delay[o, i], :, i]
    return y


def test_learned_delays_are_whole_steps_in_evaluation():
    layer = LearnedDelays(4, 3, order=6).eval()
    x = torch.randn(T, B, 4)
    delay = layer.position.round().int().tolist()
    expected = by_synapse(x, layer.weight, torch.tensor(delay))
    torch.testing.assert_close(layer(x), expected)
    assert len({d for row in delay for d in row}) > 2


@pytest.mark.parametrize("window", ["gaussian", "triangle"])
def test_the_window(window):
    layer = LearnedDelays(1, 1, order=9, window=window, width=0.5, shrink=10)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.position.fill_(3.25)
    z = torch.arange(9) - 3.25
    for calls, width in ((0, 4.5), (5, math.sqrt(4.5 * 0.5))):
        layer.calls.fill_(calls)
        shape = torch.exp(-0.5 * (z / width) ** 2)
        if window == "triangle":
            shape = (1 - z.abs() / (2 * width)).clamp(min=0)
        torch.testing.assert_close(layer.kernel()[0, 0], 2 * shape / shape.sum())


def test_settled_delays_are_whole_and_learn_by_the_window():
    layer = LearnedDelays(3, 2, order=9, shrink=10)
    upstream = torch.randn(2, 3, 9)
    layer.calls.fill_(10)
    whole = layer.kernel()
    torch.testing.assert_close(whole, layer.eval().kernel())
    grad = torch.autograd.grad(whole, layer.position, upstream)[0]
    z = (torch.arange(9) - layer.position.unsqueeze(-1)) / 0.5
    window = layer.weight.unsqueeze(-1) * torch.softmax(-z * z / 2, -1)
    expected = torch.autograd.grad(window, layer.position, upstream)[0]
    torch.testing.assert_close(grad, expected)


def test_training_narrows_the_window_and_keeps_delays_within_the_order():
    layer = LearnedDelays(2, 2, order=5, shrink=3)
    x = torch.randn(T, B, 2)
    for _ in range(3):
        layer(x)
    assert layer.width == 0.5
    layer.eval()(x)
    assert layer.calls == 3
    with torch.no_grad():
        layer.position.copy_(torch.tensor([[-3.0, 9.0], [1.0, 2.0]]))
    layer.train()(x).sum().backward()
    assert layer.position.tolist() == [[0.0, 4.0], [1.0, 2.0]]
    assert (layer.position.grad != 0).all()


def test_learned_delays_find_a_delay():
    layer = LearnedDelays(1, 1, order=10, shrink=100)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.position.fill_(1.0)
    x = torch.randn(200, 4, 1)
    target = by_synapse(x, torch.ones(1, 1), torch.full((1, 1), 6))
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        (layer(x) - target).square().mean().backward()
        optimiser.step()
    assert layer.position.round().item() == 6


def test_learned_delays_in_chunks():
    layer = LearnedDelays(4, 3, order=6).eval()
    x = torch.randn(T, B, 4)
    first, state = layer(x[:2], return_state=True)
    torch.testing.assert_close(torch.cat([first, layer(x[2:], state)]), layer(x))


def test_errors_of_learned_delays():
    for options, message in (
        ({"order": 0}, "order: expected at least 1"),
        ({"order": 3, "window": "box"}, "window: unknown name 'box'"),
        ({"order": 3, "width": 0.1}, "width: expected at least .5"),
        ({"order": 3, "shrink": 0}, "shrink: expected at least one call"),
    ):
        with pytest.raises(ValueError, match=message):
            LearnedDelays(2, 3, **options)
    with pytest.raises(ValueError, match=r"x: expected \(T, B, 2\), got \(4, 1, 3\)"):
        LearnedDelays(2, 3, order=2)(torch.zeros(4, 1, 3))


@pytest.mark.parametrize("layer", [DelayLine(3, 4), LearnedDelays(3, 2, order=4)])
def test_no_time(layer):
    with pytest.raises(ValueError, match="x: expected at least one timestep, got T=0"):
        layer(torch.zeros(0, 2, 3))
