"""Several spikes in one step: the staircase, its gradient, and what counts them."""

import os

import pytest
import torch

from neurodyn import surrogate as windows
from neurodyn.analysis import ActivityMeter
from neurodyn.analysis.departure import PutBack
from neurodyn.layers import Recurrent
from neurodyn.neurons import IF, KLIF, LIF, PLIF, DecayLIF, SoftReset

BACKENDS = [
    "reference",
    "cpu",
    pytest.param(
        "gpu",
        marks=pytest.mark.skipif(
            os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1"
        ),
    ),
]


def graded(cls=IF, *args, **options):
    return cls(*args, reset="soft", emission="graded", **options)


def by_hand(charge, x, threshold):
    """Python floats, one neuron: every level that the membrane reaches is a spike."""
    u, spikes = 0.0, []
    for now in x:
        h, s = charge(u, now), 0
        while h >= (s + 1) * threshold:
            s += 1
        u = h - threshold * s
        spikes.append(float(s))
    return spikes


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("cls", "options", "charge"),
    [
        (IF, {}, lambda u, x: u + x),
        (LIF, {"tau": 4.0}, lambda u, x: u - 0.25 * u + x),
        (LIF, {"tau": 4.0, "decay_input": True}, lambda u, x: u + 0.25 * (x - u)),
        (PLIF, {"tau": 3.0}, lambda u, x: u - u / 3 + x),
        (DecayLIF, {"alpha": 0.5}, lambda u, x: u + 0.5 * (x - u)),
    ],
)
def test_every_level_reached_is_a_spike(cls, options, charge, backend):
    x = 1 + 4 * torch.randn(60, 1, dtype=torch.float64)
    neuron = graded(cls, threshold=0.7, backend=backend, **options).double()
    expected = by_hand(charge, x[:, 0].tolist(), neuron.threshold.item())
    assert max(expected) > 2
    assert neuron(x)[:, 0].tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_exactly_at_a_level_and_just_below(backend, dtype):
    """The division rounds `k V_th / V_th` below `k` for some thresholds."""
    if backend == "gpu" and dtype == torch.float64:
        pytest.skip("the GPU's arithmetic is float32")
    threshold = 0.1 + torch.rand(200, dtype=dtype)
    level = torch.arange(1, 200).to(dtype)[:, None]
    at = level * threshold
    assert (torch.floor(at / threshold) < level).any()
    neuron = graded(IF, (200,), per="neuron", backend=backend).to(dtype)
    neuron.threshold.copy_(threshold)
    below = torch.nextafter(at, torch.zeros_like(at))
    assert torch.equal(neuron(at[None])[0], level.expand_as(at))
    assert torch.equal(neuron(below[None])[0], (level - 1).expand_as(at))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_not_a_number_stays_so_and_what_is_negative_is_silent(backend):
    x = torch.tensor([float("nan"), -7.0, -float("inf"), 0.0])
    out = graded(backend=backend)(x[None, None])[0, 0]
    assert out[0].isnan()
    assert out[1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_below_one_and_a_half_thresholds_it_is_the_binary_neuron(backend):
    torch.manual_seed(0)
    x, found = 0.7 * torch.rand(50, 3, 4) - 0.1, []
    for emission in ("binary", "graded"):
        options = {"surrogate": windows.ArcTan(0.8, learn=True), "learn_threshold": True}
        neuron = LIF(reset="soft", emission=emission, backend=backend, **options)
        given = x.clone().requires_grad_()
        spikes, (u,) = neuron(given, return_state=True)
        assert (neuron.record(x)["h"] < 1.5).all()
        ((spikes.cumsum(0) ** 2).sum() + u.sum()).backward()
        found.append([spikes, u, given.grad, *(p.grad for p in neuron.parameters())])
    assert found[0][0].any()
    assert len(found[0]) == 5
    for binary, several in zip(*found, strict=True):
        assert torch.equal(binary, several)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradient_is_the_window_at_the_nearest_level(backend):
    """`ds/dh = f(v / w) / w`, `ds/dV = -k ds/dh`, `ds/dw = -(v / w) ds/dh`, `v = h - k V`."""
    V, w = 0.8, 0.6
    h = torch.linspace(-2.0, 5.0, 201).double()[None, None].requires_grad_()
    spike = windows.Triangle(w, learn=True)
    options = {"threshold": V, "learn_threshold": True, "surrogate": spike, "backend": backend}
    neuron = graded(IF, **options).double()
    neuron(h).sum().backward()
    exact = [p.item() for p in (neuron.threshold, neuron.spike.width)]
    k = torch.round(h.detach() / exact[0]).clamp(min=1)
    v = h.detach() - k * exact[0]
    slope = (1 - (v / exact[1]).abs()).clamp(min=0) / exact[1]
    torch.testing.assert_close(h.grad, slope)
    torch.testing.assert_close(neuron.threshold.grad, -(k * slope).sum()[None])
    # The width is stored as its logarithm.
    torch.testing.assert_close(neuron.spike.raw_width.grad, -(v * slope).sum()[None])


def test_a_detached_reset_and_chunks():
    x = 2 * torch.randn(40, 2, 3)
    neuron = LIF(reset=SoftReset(detach=True), emission="graded")
    whole, state = neuron(x, return_state=True)
    first, middle = neuron(x[:13], return_state=True)
    rest, last = neuron(x[13:], middle, return_state=True)
    assert whole.max() > 1
    assert torch.equal(torch.cat([first, rest]), whole)
    assert torch.equal(state[0], last[0])


@pytest.mark.parametrize("reset", [None, "hard", "learned", "smooth", "none"])
@pytest.mark.parametrize("cls", [IF, LIF, PLIF])
def test_other_resets_are_refused(cls, reset):
    with pytest.raises(ValueError, match=r"emission: 'graded' .* needs reset='soft', got .*Reset"):
        cls(reset=reset, emission="graded")


def test_unknown_emission():
    with pytest.raises(ValueError, match=r"emission: unknown name 'grade'\. Did you mean 'graded'"):
        LIF(reset="soft", emission="grade")
    with pytest.raises(TypeError, match="KLIF: unknown name 'emission'"):
        KLIF(emission="graded")


def test_binary_is_the_default():
    assert LIF(reset="soft").emission == "binary"
    assert LIF(reset="soft")(torch.full((1, 1, 1), 3.0)).item() == 1
    assert "graded" in repr(graded())
    assert "emission" not in repr(IF())


def test_energy_counts_each_spike():
    net = torch.nn.Sequential(graded(IF), torch.nn.Linear(3, 5))
    with ActivityMeter(net) as meter:
        net(torch.tensor([[[0.5, 1.0, 4.2]]]))
    first, second = meter.activity.layers.values()
    assert (first.spikes, second.sops, second.analog) == (5, 5 * 5, False)


@pytest.mark.parametrize("share", [0.0, 0.9], ids=["dense", "sparse"])
def test_recurrent_rows_are_added_as_often_as_they_fired(share):
    layer = Recurrent(70, neuron=lambda shape: graded(LIF, shape)).double()
    x = 2 * torch.rand(30, 4, 70, dtype=torch.float64)
    x[torch.rand(x.shape) < share] = 0
    spikes = layer(x)
    layer.neuron.backend = "reference"
    assert spikes.max() > 1
    assert torch.equal(spikes, layer(x))


def test_a_map_that_is_put_back_keeps_the_emission():
    neuron, x = graded(IF), 3 * torch.rand(20, 2, 5)
    one = torch.ones(1)
    twin = PutBack(neuron, one, 0 * one, one.bool())
    assert neuron(x).max() > 1
    assert torch.equal(twin(x), neuron(x))
