import numpy as np
import pytest

from benchmarks import _choice, _fi
from neurodyn import LNM
from neurodyn.biophysics import Recording, fit


@pytest.fixture
def noise():
    """Two repeats of one current, with a spike every 20 ms."""
    time = np.arange(0, 2000, 0.5)
    voltage = np.where(time % 20 < 1, 20.0, -60 + 0.5 * (time % 20))
    current = np.random.default_rng(0).standard_normal(len(time)) / 10
    return Recording(np.stack([current] * 2, 1), np.stack([voltage] * 2, 1), 0.5)


def test_steps_are_where_the_current_stays_the_same():
    current = np.repeat([0.0, 0.2, 0.0, 0.1], [300, 200, 50, 450])
    recording = Recording(current, -60 + 0 * current, 1.0)
    found = list(_fi.stretches(recording))
    assert found == [(0, 0.0, 300.0, 0.0), (0, 300.0, 500.0, 0.2), (0, 550.0, 1000.0, 0.1)]
    curve = [(0, 0.2, 10, 12.0), (0, 0.1, 20, 19.0)]
    assert _fi.off(curve) == pytest.approx(0.125)
    assert _fi.off([]) is None


def test_options_are_taken_if_they_are_better_beyond_chance(noise, monkeypatch):
    rng = np.random.default_rng(0)
    base = rng.random(6)

    def losses(make, train, steps, options):
        found = base.copy()
        if options.get("currents") == _choice.KERNELS["four"]["currents"]:
            found -= 0.5
        if options.get("voltage") == 0.015:  # Better on average, and by luck.
            found -= np.array([3.0, -1.0, -1.0, 0.5, -0.5, -0.5])
        if options.get("refractory") == 2.0:
            found -= np.array([0.2, 0.1, 0.2, 0.1, 0.2, 0.1])
        return found

    monkeypatch.setattr(_choice, "losses", losses)
    name, options = _choice.choice(lambda: LNM(degree=1), noise, 4)
    assert name == "four, refractory 2"
    assert options == {**_choice.KERNELS["four"], "refractory": 2.0}
    monkeypatch.setattr(_choice, "losses", lambda *a: rng.random(1))
    assert _choice.choice(lambda: LNM(degree=1), noise, 4) == ("defaults", {})
    few = noise.split(300.0)[0]
    assert _choice.choice(lambda: LNM(degree=1), few, 4) == ("defaults", {})


def test_both_ends_of_what_is_fitted_are_left_out_in_turn(noise):
    (first, end), (last, start) = _choice.folds(noise)
    assert (first.duration, end.duration) == (1400.0, 600.0)
    assert (last.duration, start.duration) == (1400.0, 600.0)
    assert len(first.before[0]) == len(start.before[0]) == 0
    assert len(end.before[0]) > len(last.before[0]) > 0


def test_seconds_add_up_to_the_likelihood(noise):
    fitted = fit(LNM(degree=1), noise, steps=1, lags=(), progress=False)
    seconds = _choice.by_the_second(fitted, noise)
    assert len(seconds) == 2
    assert seconds.mean() == pytest.approx(fitted.score(noise, runs=2).nll)
