import numpy as np
import pytest
import torch

from neurodyn.biophysics import Pospischil, simulate, spike_times
from neurodyn.biophysics import simulate as simulate_function
from tests.biophysics.test_cell import step_current


def test_kept_steps_are_those_of_the_whole(monkeypatch):
    module = __import__("sys").modules[simulate_function.__module__]
    cell, current = Pospischil(learn=False).double(), step_current([0.1, 0.2], duration=20.0)
    whole = simulate(cell, current)
    assert len(whole) == len(current)
    monkeypatch.setattr(module, "CHUNK", 100)
    torch.testing.assert_close(simulate(cell, current), whole, rtol=0, atol=0)
    torch.testing.assert_close(simulate(cell, current, every=7), whole[6::7], rtol=0, atol=0)


def test_after_the_warm_up_the_cell_rests():
    cell = Pospischil(learn=False).double()
    V = simulate(cell, torch.zeros(4000, 1, dtype=torch.float64), warm_up=1000.0)
    assert (V - V[0]).abs().max() < 0.01
    drifting = simulate(cell, torch.zeros(4000, 1, dtype=torch.float64), warm_up=0.0)
    assert (drifting - drifting[0]).abs().max() > 1


def test_the_step_of_the_current_counts():
    cell = Pospischil(dt=0.025, learn=False).double()
    V = simulate(cell, step_current([0.2], 0.01, duration=30.0), 0.01)
    fine = Pospischil(dt=0.01, learn=False).double()
    torch.testing.assert_close(V, simulate(fine, step_current([0.2], 0.01, duration=30.0)))
    assert cell.dt == 0.025


def test_spike_times_lie_between_the_steps():
    V = torch.tensor([[-70.0, -30.0], [-30.0, 10.0], [-10.0, 0.0], [-30.0, -50.0], [0.0, -40.0]])
    first, second = spike_times(V, 0.5)
    np.testing.assert_allclose(first, [0.5 * 2.5, 0.5 * (4 + 1 / 3)])
    np.testing.assert_allclose(second, [0.5 * 1.25])
    with pytest.raises(ValueError, match=r"V: expected \(T, traces\), got \(3,\)"):
        spike_times(torch.zeros(3), 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warm_up": -1.0}, "warm_up: expected at least 0"),
        ({"every": 0}, "every: expected at least 1"),
        ({"dt": 0.0}, "dt: expected at least"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        simulate(Pospischil(), torch.zeros(10, 1), **options)


def test_a_current_that_is_no_number():
    with pytest.raises(ValueError, match="current: expected finite numbers"):
        simulate(Pospischil(), torch.full((10, 1), torch.nan))
