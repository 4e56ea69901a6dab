import numpy as np
import pytest

from benchmarks import recordings
from neurodyn import LNM
from neurodyn.biophysics import Recording


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
    found = list(recordings.stretches(recording))
    assert found == [(0, 0.0, 300.0, 0.0), (0, 300.0, 500.0, 0.2), (0, 550.0, 1000.0, 0.1)]
    curve = [(0, 0.2, 10, 12.0), (0, 0.1, 20, 19.0)]
    assert recordings.off(curve) == pytest.approx(0.125)
    assert recordings.off([]) is None


def test_options_are_chosen_by_both_ends_of_what_is_fitted(noise, monkeypatch):
    seen = []

    def loss(make, train, part, rest, steps, options):
        seen.append((part.duration, len(part.before[0]) > 0, rest.duration))
        good = options["currents"] == recordings.KERNELS["three"]["currents"]
        return 3.0 - good - (options["voltage"] == 0.015) - (options["refractory"] == 2.0)

    monkeypatch.setattr(recordings, "_loss", loss)
    name, options = recordings.choice(lambda: LNM(degree=1), noise, 4)
    assert name == "three, voltage 0.015, refractory 2"
    assert options == {**recordings.KERNELS["three"], "voltage": 0.015, "refractory": 2.0}
    # The first 70 % with the rest, the last 70 % with what was before.
    assert set(seen) == {(1400.0, False, 600.0), (1400.0, True, 600.0)}
    few = noise.split(300.0)[0]
    assert recordings.choice(lambda: LNM(degree=1), few, 4) == ("-", {})
