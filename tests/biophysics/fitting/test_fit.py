import json

import numpy as np
import pytest
import torch

from neurodyn import LIF, LNM, QIF
from neurodyn.biophysics import Fitted, Recording, fit
from neurodyn.biophysics.fitting.fit import _refractory
from neurodyn.biophysics.fitting.model import Escape, learning, negative_log_likelihood
from neurodyn.biophysics.fitting.scores import (
    coincidences,
    explained_variance,
    gamma,
    gamma_ceiling,
    md_star,
)
from neurodyn.biophysics.fitting.whitening import SPIKES, whitened

DT, TAU, RESISTANCE, REST, THRESHOLD, WIDTH, RESET = 0.1, 20.0, 200.0, -65.0, -48.0, 1.5, -58.0
REFRACTORY, ETA, GAMMA = 4.0, (0.02, 0.005), (4.0, 0.5)
"""A cell of Pozzorini et al. (2015): ms, megohm, mV, nA; currents of 8 and 90 ms, and a threshold
that moves with 10 and 150 ms."""


@pytest.fixture(scope="module")
def recording():
    """This cell in noise, 4 currents of 2 s. It fires at random."""
    rng = np.random.default_rng(3)
    current = 0.09 + 0.12 * np.repeat(rng.standard_normal((1_000, 4)), 20, 0)
    V, keep = np.empty_like(current), np.exp(-DT / np.array([8.0, 90.0, 10.0, 150.0]))[:, None]
    v, held, traces = np.full(4, REST), np.zeros(4), np.zeros((4, 4))
    for t, now in enumerate(current):
        traces = keep * traces + (np.round(held) == 1)
        drive = now - np.array(ETA) @ traces[:2]
        v = REST + (v - REST) * (1 - DT / TAU) + DT / TAU * RESISTANCE * drive
        v = np.where(held > 0, RESET, v)
        rate = np.exp((v - THRESHOLD - np.array(GAMMA) @ traces[2:]) / WIDTH)
        fires = (rng.random(4) > np.exp(-rate * DT)) & (held < 1)
        held = np.maximum(held - 1, 0) + fires * round(REFRACTORY / DT)
        V[t] = np.where(fires, 20.0, v)
    # Between samples the potential crosses 0 in the sample before the peak.
    return Recording(current, V, DT)


@pytest.fixture(scope="module")
def fitted(recording):
    train, options = recording.split(1500.0)[0], {"voltage": 0.1, "steps": 120, "lags": ()}
    options |= {"currents": (8.0, 90.0), "thresholds": (10.0, 150.0)}
    return fit(LNM(degree=1, clip="none"), train, progress=False, **options)


def test_what_was_put_in_is_found(recording, fitted):
    model = fitted.model
    rest, scale = model.potentials
    score = fitted.score(recording.split(1500.0)[1])
    slope = (fitted.flow([-59.0])[0] - fitted.flow([-61.0])[0]) / 2
    assert score.rms < 0.2
    assert rest == pytest.approx(REST, abs=0.3)
    assert model.threshold == pytest.approx(THRESHOLD, abs=0.7)
    assert rest + scale * model.reset.item() == pytest.approx(RESET, abs=0.5)
    assert scale * model.log_width.exp().item() == pytest.approx(WIDTH, rel=0.25)
    assert -1 / slope == pytest.approx(TAU, rel=0.05)
    # Per nA of the input, a spike takes off what is put in.
    eta = (model.w / model.log_gain.exp()).tolist()
    assert eta == pytest.approx(ETA, rel=0.2)
    assert (scale * model.v)[0].item() == pytest.approx(GAMMA[0], rel=0.3)


def test_the_same_call_gives_the_same_cell(recording):
    train = recording.split(500.0)[0]
    one, two = (fit(LIF(), train, steps=3, progress=False) for _ in range(2))
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", [LIF, QIF])
def test_other_neurons_learn_too(kind, recording):
    train = recording.split(1000.0)[0][:2]
    few, more = (fit(kind(), train, steps=n, progress=False) for n in (1, 15))
    assert more.score(train, runs=2).nll < few.score(train, runs=2).nll


def test_saved_and_loaded(recording, fitted, tmp_path):
    again = Fitted.load(fitted.save(tmp_path / "cell.json"))
    assert again.barrier == fitted.barrier
    for a, b in zip(again.simulate(recording), fitted.simulate(recording), strict=True):
        np.testing.assert_array_equal(a, b)
    content = json.loads((tmp_path / "cell.json").read_text())
    content["neuron"] = "Popen"
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"other\.json: neuron: unknown name 'Popen'"):
        Fitted.load(tmp_path / "other.json")


def test_what_cannot_be_fitted(recording):
    quiet = Recording(recording.current, recording.voltage.clip(max=-50), 0.1)
    with pytest.raises(ValueError, match=r"train: expected at least 20 spikes, got 0 that cross"):
        fit(LIF(), quiet)
    with pytest.raises(ValueError, match="neuron: expected per='layer'"):
        fit(LIF(4, per="channel"), recording)
    with pytest.raises(ValueError, match=r"currents: expected at least 0\.1"):
        fit(LIF(), recording, currents=(0.0,))


def test_noise_around_the_threshold_is_not_spikes(recording):
    shifted = Recording(recording.current, recording.voltage + 60.0, 0.1)
    with pytest.raises(ValueError, match=r"above it for \d\d % of its time; .* such as \d\d mV"):
        fit(LIF(), shifted)


@pytest.mark.parametrize(("falls", "expected"), [(2.5, 2.5), (20.0, 4.0), (0.2, 1.0)])
def test_the_refractory_time_ends_where_the_voltage_turns(falls, expected):
    time = np.arange(0, 2000, DT)
    since = time % 50  # From the peak of each spike on.
    down = 20 - 100 * np.minimum(since, falls) / falls
    voltage = np.where(since < falls, down, -80 + 0.5 * (since - falls))
    short = _refractory(Recording(0 * time, voltage, DT))
    assert short == pytest.approx(expected, abs=0.11)


def test_whitened_traces_are_of_one_size_and_uncorrelated(recording):
    taus = (10.0, 12.0, 1000.0)
    make = {"currents": taus, "thresholds": taus, "lags": (), "refractory": 4.0}
    model = Escape(learning(LIF()), DT, **make)
    data, before = model.prepare(recording), model.w.detach().clone()
    live = data.live > 0
    with whitened(model, data):
        torch.testing.assert_close(model.w.detach(), before)
        learned = model.parametrizations["w"].original
        # One step of what is learned is a trace of its own.
        traces = data.a[live] @ model.parametrizations["w"][0].mix
        with torch.no_grad():
            learned += 1.0
    correlations = traces.T @ traces / len(traces)
    torch.testing.assert_close(
        correlations, SPIKES**2 * torch.eye(3, dtype=correlations.dtype), atol=0.02, rtol=0
    )
    assert isinstance(model.w, torch.nn.Parameter)
    assert not torch.equal(model.w, before)
    assert set(model.state_dict()) == set(Escape(learning(LIF()), DT, **make).state_dict())


@pytest.fixture
def bare():
    """A model without traces, as it begins."""
    return Escape(learning(LIF()), DT, currents=(), thresholds=(), lags=(), refractory=4.0)


def test_traces_go_on_where_a_recording_is_split(recording):
    taus = (5.0, 500.0)
    model = Escape(learning(LIF()), DT, currents=taus, thresholds=taus, lags=taus, refractory=4.0)
    whole, later = model.prepare(recording), model.prepare(recording.split(1200.0)[1])
    n = round(1200 / DT)
    for name in ("lagged", "electrode", "a", "b"):
        torch.testing.assert_close(getattr(later, name), getattr(whole, name)[n:])
    assert len(later.lagged) == len(later.current)


def test_the_rate_ends_at_its_top(recording, bare):
    data, top = bare.prepare(recording), 0.3
    with torch.no_grad():
        bare.log_top.fill_(np.log(top))
        bare.log_gain += 2.0
        u, rate, _ = bare.run(data)
        free = torch.exp((u - bare.level) / bare.log_width.exp())
        torch.testing.assert_close((rate.exp() / DT), free / (1 + free / top))
        assert (free > 10 * top).any()
        # A rate is reached where `r` is at its barrier; none from the top on is.
        below = rate - np.log(DT)
        torch.testing.assert_close(bare.barrier(below)[free < 10], free[free < 10].log())
        assert torch.isinf(bare.barrier(torch.tensor([np.log(top), 1.0]))).all()


def test_random_spikes_come_as_often_as_the_rate_says(bare):
    n, rate = 20_000, 0.05
    calm = Recording(np.zeros((n, 100)), np.full((n, 100), -70.0), DT)
    with torch.no_grad():
        bare.rest.fill_(-70.0 / 30.0)
        bare.log_top.fill_(np.log(2 * rate))
        bare.level.fill_(-float(bare.log_width.exp()) * np.log(2 * rate))
        bare.reset.fill_(0.0)  # At rest always: `r` is `top`.
    counts = [len(train) for train in Fitted(bare, {}).simulate(calm, seed=0)]
    assert np.mean(counts) == pytest.approx(n * DT / (1 / rate + 4.0), rel=0.025)


def test_likelihood_of_every_sample_by_hand(recording, bare):
    model = bare
    data = model.prepare(recording)
    rate = torch.randn(data.live.shape, generator=torch.Generator().manual_seed(0)).double() - 5
    fires = 1 - torch.exp(-rate.exp() * data.live.clamp(min=1e-12))
    each = torch.where(data.spikes > 0, fires, 1 - fires).log()
    expected = -each.sum() / data.spikes.sum()
    torch.testing.assert_close(negative_log_likelihood(rate, data), expected)


def test_explained_variance_by_hand():
    a, b = np.array([100.0, 300.0]), np.array([100.0, 500.0])
    # Bells that do not overlap, in mean-free units: var = 2, each pair has one in common.
    share = 1 / 2
    mean = 2 * 1.5 / (2 + 1.5)  # cov(mean, d) = 1.5, var mean = (1 + 1/4 + 1/4) = 1.5
    assert explained_variance([a], [a, b], 1e6) == pytest.approx((1 + share) / 2 / mean, rel=1e-3)
    assert explained_variance([a, b], [a, b], 1e6) == pytest.approx(0.75 / mean, rel=1e-3)
    assert explained_variance([np.array([700.0])], [a, b], 1e6) == pytest.approx(0.0, abs=1e-3)
    assert explained_variance([a], [a], 1e6) is None
    # Repeats that are alike, and a model that is as they are.
    assert explained_variance([a], [a, a], 1e6) == pytest.approx(1.0)


def test_scores_by_hand():
    a, b = np.array([10.0, 50.0, 90.0]), np.array([12.0, 70.0, 93.0])
    assert coincidences(a, b) == 2
    assert coincidences(np.array([10.0, 11.0]), np.array([10.5])) == 1
    # 2 coincidences; by chance 2 * 4 * 3 / 1000 * 3.
    assert gamma(a, b, 1000.0) == pytest.approx((2 - 0.072) / 3 / (1 - 0.024))
    assert gamma(a, a, 1000.0) == pytest.approx(1.0)
    assert gamma_ceiling([a], 1000.0) is None
    assert md_star([a, b], [a, b]) == pytest.approx(2 * (3 + 3 + 2 + 2) / 4 / (2 + 2))
