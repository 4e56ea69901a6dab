import json

import numpy as np
import pytest
import torch

from neurodyn import LIF, LNM, QIF
from neurodyn.biophysics import Fitted, Recording, fit
from neurodyn.biophysics.fitting.scores import coincidences, gamma, gamma_ceiling, md_star

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
    train, options = recording.split(1500.0)[0], {"voltage": 0.1, "steps": 120}
    return fit(LNM(degree=1, clip="none"), train, lags=(), progress=False, **options)


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


def test_scores_by_hand():
    a, b = np.array([10.0, 50.0, 90.0]), np.array([12.0, 70.0, 93.0])
    assert coincidences(a, b) == 2
    assert coincidences(np.array([10.0, 11.0]), np.array([10.5])) == 1
    # 2 coincidences; by chance 2 * 4 * 3 / 1000 * 3.
    assert gamma(a, b, 1000.0) == pytest.approx((2 - 0.072) / 3 / (1 - 0.024))
    assert gamma(a, a, 1000.0) == pytest.approx(1.0)
    assert gamma_ceiling([a], 1000.0) is None
    assert md_star([a, b], [a, b]) == pytest.approx(2 * (3 + 3 + 2 + 2) / 4 / (2 + 2))
