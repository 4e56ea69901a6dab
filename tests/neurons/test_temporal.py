"""Neurons of several states, against arithmetic done by hand."""

import math

import pytest
import torch
from torch import nn

from neurodyn.learned import Learned
from neurodyn.neurons import (
    ALIF,
    BRF,
    CLIF,
    GLIF,
    LIF,
    QIF,
    AdLIF,
    CubaLIF,
    DecayLIF,
    HardReset,
    Izhikevich,
    MultiTimescale,
    SoftReset,
    grade_timescales,
    set_horizon,
)
from neurodyn.surrogate import Gaussian, Triangle


def inputs(T=60):
    return 0.4 + 0.6 * torch.randn(T, 1, dtype=torch.float64)


def check(neuron, x, states, step):
    """Compare each state over time with a step of plain floats `(x, *states) -> (s, *states)`."""
    neuron.backend = "reference"  # kernels are compared with it in tests/scan
    seen = neuron.double().record(x)
    history = []
    for now in x[:, 0].tolist():
        s, *states = step(now, *states)
        history.append((s, *states))
    assert 1 < sum(row[0] for row in history) < len(history) - 1
    for name, column in zip(("spikes", *neuron.states), zip(*history, strict=True), strict=True):
        expected = torch.tensor(column, dtype=torch.float64)
        torch.testing.assert_close(seen[name][:, 0].detach(), expected, rtol=1e-5, atol=1e-6)


def test_alif():
    def step(x, u, a):
        h = u / 2 + x
        s = float(h >= 1 + 0.3 * a)
        return s, h * (1 - s), 0.8 * a + s

    check(ALIF(rho=0.8, jump=0.3), inputs(), [0.0, 0.0], step)


def test_adlif():
    def step(x, u, w, s):
        w = 0.9 * w + 0.1 * u + 0.2 * s
        u = 0.6 * (u - s) + 0.4 * (x - w)
        return float(u >= 1), u, w, float(u >= 1)

    beta = Learned(0.9, low=0.0, high=1.0)  # below the paper's range
    check(AdLIF(alpha=0.6, beta=beta, a=0.1, b=0.2), 4 * inputs(), [0.0, 0.0, 0.0], step)
    with pytest.raises(ValueError, match="reset: AdLIF has its own reset"):
        AdLIF(reset="soft")


def test_decay_lif_resets_a_step_later():
    """The equation of the sources, the membrane before its reset and the spike a state."""
    x, u, s, spikes = 3 * inputs(), 0.0, 0.0, []
    for now in x[:, 0].tolist():
        u = 0.7 * (u - 1.5 * s) + 0.3 * now
        s = float(u >= 1.5)
        spikes.append(s)
    assert 1 < sum(spikes) < len(spikes) - 1
    assert (
        DecayLIF(alpha=0.7, threshold=1.5, backend="reference").double()(x)[:, 0].tolist() == spikes
    )
    adaptive = AdLIF(alpha=0.7, a=0.0, b=0.0, threshold=1.5, backend="reference").double()
    assert adaptive(x)[:, 0].tolist() == spikes


def test_ranges_are_drawn_from_and_kept():
    neuron = AdLIF(2000, per="neuron")
    for name, low, high in (("alpha", 0.36, 0.96), ("beta", 0.96, 0.99), ("a", 0, 1), ("b", 0, 2)):
        drawn = getattr(neuron, name).detach()
        assert low <= drawn.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < drawn.max() <= high
        with torch.no_grad():
            raw = getattr(neuron, f"raw_{name}")
            raw[:1000], raw[1000:] = -9.0, 9.0
        assert getattr(neuron, name).unique().tolist() == pytest.approx([low, high])
    assert DecayLIF().alpha.item() == pytest.approx(0.66), "the middle, where there is one"
    assert AdLIF(b=Learned(5.0)).b.item() == 5


def test_clif():
    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    def step(x, u, m):
        h = u - u / 3 + x
        s = float(h >= 1.2)
        m = m * sigmoid(h / 3) + s
        return s, h - s * (1.2 + sigmoid(m)), m

    check(CLIF(tau=3.0, threshold=1.2), 2 * inputs(), [0.0, 0.0], step)
    with pytest.raises(ValueError, match="reset: CLIF subtracts"):
        CLIF(reset="hard")


def test_glif():
    def step(x, u, s):
        u = (
            (1 - 0.3 * (1 - 0.8)) * (1 - 0.6 * s) * u
            - (1 - 0.3) * 0.05
            + (1 - 0.2 * (1 - 0.7)) * x
            - (1 - 0.6) * 0.9 * s
        )
        return float(u >= 1.1), u, float(u >= 1.1)

    gates = {"alpha": 0.3, "beta": 0.2, "gamma": 0.6}
    parts = {"decay": 0.8, "leak": 0.05, "conduct": 0.7, "drop": 0.9}
    check(GLIF(threshold=1.1, **gates, **parts), inputs(), [0.0, 0.0], step)
    assert GLIF(threshold=0.8).drop.item() == pytest.approx(0.8)
    with pytest.raises(ValueError, match="reset: GLIF has its own reset"):
        GLIF(reset="soft")
    with pytest.raises(ValueError, match="gamma: expected between 0 and 1, got 1"):
        GLIF(gamma=1)


def test_izhikevich():
    def step(x, u, w):
        h = u + 0.3 * (u - 0.1) * (u - 0.7) - w + x
        s = float(h >= 1)
        return s, h * (1 - s) + 0.05 * s, w + 0.1 * (0.4 * (u - 0.1) - w) + 0.2 * s

    parabola = {"gain": 0.3, "rest": 0.1, "critical": 0.7}
    neuron = Izhikevich(**parabola, a=0.1, b=0.4, d=0.2, reset=HardReset(0.05))
    check(neuron, inputs(), [0.0, 0.0], step)


def test_izhikevichs_regular_spiking_neuron():
    """The equations as the paper prints them, in mV and ms, at 10 pA."""
    v, u, spikes = -70.0, -14.0, []
    for _ in range(500):
        v, u = v + 0.04 * v * v + 5 * v + 140 - u + 10, u + 0.02 * (0.2 * v - u)
        spikes.append(float(v >= 30))
        if v >= 30:
            v, u = -65.0, u + 8
    neuron = Izhikevich(gain=4.0, critical=0.15, reset=HardReset(0.05), backend="reference")
    ours = neuron.double()(torch.full((500, 1), 0.1, dtype=torch.float64))
    assert sum(spikes) > 5
    assert ours[:, 0].tolist() == spikes


def test_brf():
    dt, omega, offset, gamma = 0.05, 8.0, 1.5, 0.8

    def step(x, u, v, q):
        b = (math.sqrt(1 - (dt * omega) ** 2) - 1) / dt - offset - q
        u, v = u + dt * (b * u - omega * v + x), v + dt * (omega * u + b * v)
        s = float(u >= 1 + q)
        return s, u, v, gamma * q + s

    neuron = BRF(omega=omega, offset=offset, dt=dt, gamma=gamma, scale_input=True)
    check(neuron, 20 * inputs(), [0.0, 0.0, 0.0], step)


def test_brf_resonates():
    """Undamped it oscillates for ever; damped it answers its own frequency most."""
    free = BRF(omega=10.0, offset=0.0, threshold=1e6, backend="reference").double()
    pulse = torch.zeros(2000, 1, dtype=torch.float64)
    pulse[0] = 1.0
    seen = free.record(pulse)
    energy = seen["u"] ** 2 + seen["v"] ** 2
    torch.testing.assert_close(energy[1:], energy[:-1])

    t = 0.01 * torch.arange(2000)
    damped = BRF(omega=10.0, offset=1.0, threshold=1e6, backend="reference")
    answers = []
    for omega in (5.0, 10.0, 20.0):
        swing = torch.sin(omega * t).unsqueeze(1)
        answers.append(damped.record(swing)["u"].std())
    assert answers[1] > 2 * max(answers[0], answers[2])


def test_brf_starts_in_its_ranges_and_may_leave_them():
    neuron = BRF(500, per="neuron")
    omega = neuron.omega.detach()
    assert 5 <= omega.min() < 5.2
    assert 9.8 < omega.max() <= 10
    with torch.no_grad():
        neuron.raw_omega[:2] = torch.tensor([40.0, 1e3])
    assert neuron.omega[:2].tolist() == pytest.approx([40, 99])


def test_cuba_lif():
    def step(x, u, i):
        i = i * (1 - 1 / 3) + x
        h = u * (1 - 1 / 6) + i
        s = float(h >= 2)
        return s, h - 2 * s, i

    check(CubaLIF(tau_mem=6, tau_syn=3, threshold=2, reset="soft"), inputs(), [0.0, 0.0], step)


@pytest.mark.parametrize("rest", [None, 0.0])
def test_multi_timescale(rest):
    base = 1.5 if rest is None else rest

    def step(x, u, i, th):
        i = i * (1 - 1 / 3) + x
        h = u * (1 - 1 / 6) + i
        s = float(h >= th)
        return s, h * (1 - s), i, base + (th - base) * 0.7 + 0.4 * s

    neuron = MultiTimescale(
        tau_mem=6.0, tau_syn=3.0, threshold=1.5, jump=0.4, decay=0.3, threshold_rest=rest
    )
    check(neuron, inputs(), [0.0, 0.0, 1.5], step)


def test_every_parameter_learns():
    for cls in (ALIF, AdLIF, BRF, CubaLIF, DecayLIF, GLIF, Izhikevich, MultiTimescale):
        neuron = cls(backend="reference")
        neuron(torch.randn(30, 64)).sum().backward()
        for name, parameter in neuron.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad != 0, name


def test_multi_timescale_can_start_as_lif():
    x = torch.randn(40, 8)
    neuron = MultiTimescale(tau_syn=1 + 1e-6, tau_mem=2.0, jump=0.0, surrogate=Triangle())
    torch.testing.assert_close(neuron.record(x)["u"], LIF().record(x)["u"], rtol=0, atol=1e-4)


def test_the_papers_window():
    v = torch.tensor([0.3])
    assert MultiTimescale().spike.window(v).item() == pytest.approx(math.exp(-(0.3**2) / 0.5))


def test_a_layer_mixes_timescales():
    neuron = MultiTimescale(2000, per="neuron", tau_mem=(2.0, 200.0))
    logs = neuron.tau_mem.detach().log()
    assert logs.min() > math.log(2) - 1e-4
    assert logs.max() < math.log(200) + 1e-4
    middle = math.log(2 * 200) / 2
    assert logs.mean().item() == pytest.approx(middle, abs=0.1), "uniform in the logarithm"


def test_later_layers_are_slower():
    layers = [MultiTimescale(50, per="neuron"), LIF(), CubaLIF(50, per="neuron"), CubaLIF()]
    grade_timescales(nn.Sequential(*layers), 2.0, 128.0)
    edges = [2, 8, 32, 128]
    for layer, low, high in zip((layers[0], layers[2]), edges, edges[1:], strict=False):
        assert low - 1e-3 < layer.tau_mem.min() < layer.tau_mem.max() < high + 1e-3
    assert layers[3].tau_mem.item() == pytest.approx(64)
    with pytest.raises(ValueError, match="network: expected layers of CubaLIF"):
        grade_timescales(LIF(), 2.0, 10.0)
    with pytest.raises(ValueError, match="low, high: expected 1 < low"):
        grade_timescales(CubaLIF(), 1.0, 10.0)


def test_a_window_that_follows_the_timescale():
    taus = torch.tensor([2.0, 10.0, 50.0])
    neuron = MultiTimescale(
        3, per="neuron", backend="reference", surrogate=Gaussian("derived"), threshold=0.8
    )
    neuron.tau_mem = taus
    # Both the membrane and the input have the variance V_th^2.
    torch.testing.assert_close(
        neuron.width(), 2 * 0.8 * torch.sqrt(1 + (1 - 1 / taus) ** 2), rtol=1e-4, atol=0
    )


def test_time_constants_never_fall_below_a_step():
    neuron = CubaLIF(tau_mem=1.5)
    with torch.no_grad():
        neuron.raw_tau_mem.fill_(-30)
    assert neuron.tau_mem >= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CubaLIF(tau_mem=1.0), "tau_mem: expected above 1, got 1.0"),
        (lambda: CubaLIF(tau_syn=(5.0, 2.0)), r"tau_syn: .*low <= high, got \(5.0, 2.0"),
        (lambda: MultiTimescale(decay=1.0), "decay: expected between 0 and 1, got 1.0"),
        (lambda: BRF(dt=0.0), "dt: expected a positive time"),
        (lambda: BRF(gamma=2.0), "gamma: expected from 0 to 1, got 2.0"),
        (lambda: BRF(omega=200.0), "omega: expected from 0 to 99, got 200"),
        (lambda: Izhikevich(a=-1.0), "a: expected from 0 to 1, got -1"),
        (lambda: ALIF(rho=1.5), "rho: expected from 0 to 1, got 1.5"),
        (lambda: ALIF(tau=0.1), "tau: expected at least 1, got 0.1"),
        (lambda: AdLIF(beta=-1), "beta: expected from 0.96 to 0.99, got -1"),
        (
            lambda: DecayLIF(alpha=(0.5, 1.2)),
            r"alpha: expected from 0.36 to 0.96, got \(0.5, 1.2\)",
        ),
        (lambda: AdLIF(a=(2.0, 1.0)), r"a: .*low <= high, got \(2.0, 1.0\)"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_soft_reset_subtracts_the_adapted_threshold():
    neuron = ALIF(reset=SoftReset(), jump=0.5, rho=1.0)
    seen = neuron.record(torch.tensor([[1.2], [2.0]]))
    assert seen["u"][1].item() == pytest.approx(0.1 + 2.0 - 1.5)


def test_a_parabola_gets_a_clip_on_sequences():
    """Without one, training on digits pixel by pixel diverges within two epochs."""
    for steps, lower in [(4, None), (16, None), (17, -1.0), (784, -1.0)]:
        neuron = QIF()
        set_horizon(neuron, steps)
        assert neuron.lower == lower
    kept = QIF(lower=-float("inf"))
    set_horizon(kept, 784)
    x = torch.randn(8, 2, 5) * 3
    assert torch.equal(kept(x), QIF()(x))
