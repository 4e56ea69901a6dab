"""Modes: the complex equation by hand, powers of the states, where they start, what is refused."""

import math

import pytest
import torch
from torch import nn

from neurodyn.analysis import operations
from neurodyn.layers import Delayed, Recurrent, Stream
from neurodyn.models import SequenceNet
from neurodyn.neurons import BRF, Modal, Planar, set_horizon


def gained(neuron, z):
    """What the states of a mode gain from their powers, one monomial after the other."""
    k = neuron.clip_range
    u, v = (k * torch.tanh(part / k) for part in (z.real, z.imag))
    c, n = iter(neuron.c), neuron.degree
    if neuron.coupling == "full":
        powers = [(i, j) for i in range(n + 1) for j in range(n + 1) if 2 <= i + j <= n]
        return [
            [sum(next(c) * u[m] ** i * v[m] ** j for i, j in powers) for _ in "uv"]
            for m in range(neuron.modes)
        ]
    parts = (u, v) if neuron.oscillate else (u,)
    return [
        [sum(next(c) * w[m] ** i for i in range(2, n + 1)) for w in parts]
        for m in range(neuron.modes)
    ]


def by_hand(neuron, x, feedback):
    """The equation in complex numbers."""
    z = torch.zeros(neuron.modes, *x.shape[1:], dtype=torch.complex128)
    turn = [2 * math.pi / p for p in neuron.period] if neuron.oscillate else [0.0] * neuron.modes
    spikes, course = [], []
    for step in x:
        more = gained(neuron, z) if neuron.degree > 1 else [[0.0]] * neuron.modes
        for j in range(neuron.modes):
            pole = torch.polar(torch.exp(-1 / neuron.tau[j]), torch.as_tensor(turn[j]).double())
            phase = neuron.phase[j] if neuron.oscillate else torch.zeros(1).double()
            z[j] = pole * z[j] + torch.polar(neuron.gain[j], phase.expand_as(neuron.gain[j])) * step
            z[j] = z[j] + more[j][0] + 1j * (more[j][1] if len(more[j]) > 1 else 0.0)
        h = z.real.sum(0)
        s = (h >= neuron.threshold).double()
        if feedback == "soft":
            for j in range(neuron.modes):
                b = neuron.b[j] if neuron.oscillate else 0.0
                z[j] = z[j] - (neuron.a[j] - 1j * b) * s
        spikes.append(s)
        course.append(h)
    return torch.stack(spikes), torch.stack(course), z


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("per", ["neuron", "layer"])
@pytest.mark.parametrize("oscillate", [True, False])
@pytest.mark.parametrize("feedback", ["none", "soft"])
@pytest.mark.parametrize("modes", [1, 3])
def test_the_complex_equation(modes, feedback, oscillate, per, backend):
    options = {"feedback": feedback, "oscillate": oscillate, "per": per, "backend": backend}
    neuron = Modal((5,), modes=modes, horizon=20, **options).double()
    with torch.no_grad():
        for name in ("gain", "phase", "a", "b"):
            for value in getattr(neuron, name, ()) if neuron._started(name) else ():
                value.add_(0.3 * torch.rand_like(value))
    x = 2 * torch.randn(40, 3, 5, dtype=torch.float64)
    spikes, h, z = by_hand(neuron, x, feedback)
    record = neuron.record(x)
    torch.testing.assert_close(record["h"], h)
    assert torch.equal(record["spikes"], spikes)
    assert 0.02 < spikes.mean() < 0.9
    for j in range(modes):
        torch.testing.assert_close(record[f"u{j}"][-1], z[j].real)
        if oscillate:
            torch.testing.assert_close(record[f"v{j}"][-1], z[j].imag)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("per", ["neuron", "layer"])
@pytest.mark.parametrize(
    ("degree", "options"),
    [
        (2, {"feedback": "none", "coupling": "full"}),
        (3, {"feedback": "soft", "coupling": "full"}),
        (3, {"feedback": "soft", "coupling": "separate"}),
        (4, {"feedback": "none", "oscillate": False, "coupling": "separate"}),
    ],
)
def test_powers_of_the_states(degree, options, per, backend):
    neuron = Modal(
        (5,), modes=2, horizon=20, degree=degree, clip="smooth", per=per, backend=backend, **options
    ).double()
    linear = Modal((5,), modes=2, horizon=20, per=per, backend=backend, **options).double()
    linear.load_state_dict(neuron.state_dict(), strict=False)
    x = 2 * torch.randn(40, 3, 5, dtype=torch.float64)
    for name, value in linear.record(x).items():
        assert torch.equal(neuron.record(x)[name], value), "at the start, the linear neuron"
    neuron.c = [torch.rand_like(value) - 0.5 for value in neuron.c]
    spikes, h, z = by_hand(neuron, x, options["feedback"])
    record = neuron.record(x)
    torch.testing.assert_close(record["h"], h)
    assert torch.equal(record["spikes"], spikes)
    assert (h - linear.record(x)["h"]).abs().max() > 0.1
    for j in range(2):
        torch.testing.assert_close(record[f"u{j}"][-1], z[j].real)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"degree": 3, "coupling": "full"}, 14),
        ({"degree": 3}, 4),
        ({"degree": 2, "coupling": "full"}, 6),
        ({"degree": 3, "oscillate": False, "coupling": "full"}, 2),
    ],
)
def test_how_many_powers(options, count):
    neuron = Planar((3,), **options)
    assert len(neuron.c) == count
    assert [value.shape for value in neuron.raw_c] == [(3,)] * count
    assert len(Planar(degree=3).c[0]) == 1, "one for the layer"
    assert "degree" not in repr(Planar())
    assert f"degree={options['degree']}" in repr(neuron)


@pytest.mark.parametrize("coupling", ["separate", "full"])
@pytest.mark.parametrize("oscillate", [True, False])
@pytest.mark.parametrize("feedback", ["none", "soft"])
@pytest.mark.parametrize("modes", [1, 2])
def test_powers_cost_what_their_step_computes(modes, feedback, oscillate, coupling):
    def counted(neuron, *, traced):
        if traced:
            neuron.operations = None
        return torch.tensor(operations(neuron))

    options = {"modes": modes, "feedback": feedback, "oscillate": oscillate}
    for degree in (2, 3, 4):
        more = [
            counted(Modal(degree=degree, coupling=coupling, **options), traced=traced)
            - counted(Modal(**options), traced=traced)
            for traced in (True, False)
        ]
        assert torch.equal(*more)


def test_powers_are_learned_at_a_hundredth_of_the_rate():
    neuron = Planar((6,), degree=3, coupling="full", horizon=20)
    optimiser = torch.optim.Adam(neuron.parameters(), lr=0.01)
    neuron(torch.randn(20, 8, 6)).sum().backward()
    optimiser.step()
    sizes = torch.stack(neuron.c).abs()
    assert sizes.max().item() == pytest.approx(0.0001, rel=1e-3)


@torch.no_grad()
def test_where_modes_start():
    neuron = Modal((4000,), modes=2, horizon=200)
    for tau, period, gain in zip(neuron.tau, neuron.period, neuron.gain, strict=True):
        assert tau.shape == (4000,)
        assert 5 <= tau.min() < 5.5
        assert 180 < tau.max() <= 200
        assert tau.log().mean() == pytest.approx(math.log(math.sqrt(5 * 200)), abs=0.1)
        assert 6 <= period.min() < 7
        assert 360 < period.max() <= 400
        torch.testing.assert_close(gain.square(), (1 - torch.exp(-2 / tau)) / 2)
    assert Planar().per == "layer"
    assert Planar((8,)).per == "neuron"
    assert Planar((8,), tau=20.0).tau[0].tolist() == pytest.approx([20] * 8)
    two = Modal((8,), tau=[(5.0, 10.0), 50.0])
    assert two.tau[0].max() < 10 < two.tau[1].min()


@torch.no_grad()
def test_the_length_of_the_sequences_sets_the_start():
    layers = [Modal((2000,)), Planar((2000,), horizon=20), Modal((2000,), oscillate=False)]
    network = nn.ModuleList(layers)
    assert 90 < layers[0].tau[0].max() <= 100
    names = set(network.state_dict())
    set_horizon(network, 1000)
    assert set(network.state_dict()) == names
    for neuron, horizon in zip(layers, (1000, 20, 1000), strict=True):
        assert 0.95 * horizon < neuron.tau[0].max() <= horizon
        if neuron.oscillate:
            assert 1.9 * horizon < neuron.period[-1].max() <= 2 * horizon
        size = (1 - torch.exp(-2 / neuron.tau[0])) / neuron.modes
        torch.testing.assert_close(neuron.gain[0].square(), size)
    set_horizon(network, 2)
    assert layers[0].tau[0].max() <= 6
    own = Planar((8,), tau=3.0)
    own.set_horizon(50)
    assert own.tau[0].tolist() == pytest.approx([3] * 8)
    assert own.period[0].max() > 50


@torch.no_grad()
def test_white_input_keeps_the_same_size_however_long_the_memory():
    neuron = Modal((64,), modes=2, horizon=50, threshold=1e6)
    record = neuron.record(torch.randn(600, 64, 64))
    size = sum(record[name][300:].square() for name in neuron.states)
    assert size.mean() == pytest.approx(1.0, rel=0.05)


@torch.no_grad()
def test_c_silif_is_a_planar_with_feedback():
    """Fabre et al. 2025: `u <- exp(dt (-1/2 + i pi)) (u - s/2) + b x`, a spike if `2 Re u >= 1`."""
    dt, b = torch.empty(5).uniform_(0.01, 0.5).double(), torch.rand(5).double()
    planar = Planar((5,), feedback="soft", tau=2 / dt, period=2 / dt).double()
    planar.gain = [2 * b]
    x = 2 * torch.randn(60, 3, 5).double()
    u, s, spikes = torch.zeros(3, 5, dtype=torch.complex128), torch.zeros(3, 5).double(), []
    for current in x:
        u = torch.exp(torch.complex(-dt / 2, math.pi * dt)) * (u - s / 2) + b * current
        s = (2 * u.real >= 1).double()
        spikes.append(s)
    assert 0 < torch.stack(spikes).mean() < 1
    assert torch.equal(planar(x), torch.stack(spikes))


@torch.no_grad()
def test_brf_between_spikes_is_a_planar():
    brf = BRF((5,), per="neuron", threshold=1e6).double()
    x = torch.randn(60, 3, 5).double()
    damping = (torch.sqrt(1 - (brf.dt * brf.omega) ** 2) - 1) / brf.dt - brf.offset
    pole = torch.complex(1 + brf.dt * damping, brf.dt * brf.omega)
    period = 2 * math.pi / pole.angle()
    planar = Planar((5,), tau=-1 / pole.abs().log(), period=period, threshold=1e6).double()
    planar.gain = [1.0]
    # The planar neuron started in single precision.
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(planar.record(x)["u0"], brf.record(x)["u"], **close)


def test_what_is_learned():
    def learned(neuron):
        return {name.split(".")[0] for name, _ in neuron.named_parameters()}

    assert learned(Planar((3,))) == {"raw_tau", "raw_period"}
    assert learned(Modal((3,))) == {"raw_tau", "raw_period", "gain", "phase"}
    assert learned(Modal((3,), feedback="soft")) >= {"a", "b"}
    assert learned(Modal((3,), oscillate=False)) == {"raw_tau", "gain"}
    assert not learned(Planar((3,), learn=False))
    assert "tau=" in repr(Planar((3,)))


LAYERS = {
    "alone": Planar,
    "recurrent": lambda features: Recurrent(features, neuron=Planar),
    "delayed": lambda features: Delayed(features, neuron=Planar, order=3),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_in_layers_and_on_a_stream(kind):
    layer = LAYERS[kind]((6,))
    x = torch.randn(12, 2, 6)
    whole = layer(x)
    stream = Stream(layer)
    torch.testing.assert_close(torch.cat([stream(x[:5]), stream(x[5:6]), stream(x[6:])]), whole)
    whole.sum().backward()


def test_in_a_network():
    network = SequenceNet(Modal, shape=(3,), classes=2, widths=(8,))
    network(torch.randn(20, 4, 3)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_options_that_cannot_be():
    for options, message in [
        ({"modes": 0}, "modes: expected at least 1, got 0"),
        ({"horizon": 5}, "horizon: expected at least 6, got 5"),
        ({"feedback": "hard"}, "feedback: unknown name 'hard'"),
        ({"oscillate": False, "period": 5.0}, "period: modes that do not oscillate have none"),
        ({"tau": [5.0]}, "tau: expected one start for each of 2 modes"),
        ({"tau": 0.0}, "tau: expected"),
        ({"degree": 0}, "degree: expected a whole number, at least 1, got 0"),
        ({"degree": 2.5}, "degree: expected a whole number"),
        ({"coupling": "all"}, "coupling: unknown name 'all'"),
        ({"reset": "hard"}, "reset: Modal has its own reset"),
    ]:
        with pytest.raises(ValueError, match=message):
            Modal((3,), **options)
