import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from neurodyn.biophysics import GIF, AdEx, simulate, spike_times
from tests.biophysics.test_cell import step_current

BURSTING = {"tau_w": 40.0, "a": 0.004, "b": 0.1, "Vreset": -47.4}


LOW = {"Vpeak": -20.0}
"""Above it the upstroke takes less than a solver's smallest step, and no time that matters."""


def exact(cell, amplitude, end):
    """Spike times of an AdEx by an adaptive solver of order 8, restarted at every spike."""
    q = {name: getattr(cell, name).item() for name in cell.declared}

    def change(t, y):
        V, w = y
        upstroke = q["gL"] * q["DeltaT"] * np.exp((V - q["VT"]) / q["DeltaT"])
        dV = (-q["gL"] * (V - q["EL"]) + upstroke - w + amplitude) / q["C"]
        return dV, (q["a"] * (V - q["EL"]) - w) / q["tau_w"]

    def peak(t, y):
        return y[0] - q["Vpeak"]

    peak.terminal, peak.direction = True, 1
    t, y, times = 0.0, [q["EL"], 0.0], []
    while t < end:
        run = solve_ivp(change, (t, end), y, "DOP853", events=peak, rtol=1e-9, atol=1e-9)
        assert run.status >= 0, run.message
        t, y = run.t[-1], run.y[:, -1]
        if run.status == 1:
            times.append(t)
            y = [q["Vreset"], y[1] + q["b"]]
    return np.array(times)


# A burst starts above VT, where the upstroke multiplies every error.
@pytest.mark.parametrize(
    ("kind", "allowed"), [({}, 0.1), (BURSTING, 1.0)], ids=["adapting", "bursting"]
)
def test_adex_comes_to_the_exact_spikes_at_first_order(kind, allowed):
    truth = exact(AdEx(**kind, **LOW).double(), 0.8, 200.0)
    assert len(truth) >= 5
    errors = []
    for dt in (0.01, 0.0025):
        cell = AdEx(dt=dt, learn=False, **kind, **LOW).double()
        V = simulate(cell, step_current([0.8], dt, duration=200.0, start=0.0), warm_up=0.0)
        (found,) = spike_times(V, dt, -25.0)
        assert len(found) == len(truth)
        errors.append(abs(found - truth).max())
    assert errors[1] < 0.4 * errors[0]
    assert errors[1] < allowed


def test_adex_shows_its_peak_and_nothing_above():
    V = simulate(AdEx(learn=False), step_current([3.0], duration=60.0).float())
    assert V.max() == 20.0
    assert (V == 20.0).sum() == len(spike_times(V, 0.025)[0]) > 5


def test_gif_without_kernels_is_a_leaky_integrator():
    cell = GIF(eta=[], tau_eta=[], gamma=[], tau_gamma=[], dt=0.01, learn=False).double()
    V = simulate(cell, step_current([0.15], 0.01, duration=200.0, start=0.0), warm_up=0.0)
    (times,) = spike_times(V, 0.01)
    # Toward EL + I / gL = -35 mV with C / gL = 20 ms, from -65 and then from -55 to -45 mV.
    np.testing.assert_allclose(times[0], 20 * np.log(3), atol=0.02)
    np.testing.assert_allclose(np.diff(times), 4 + 20 * np.log(2), atol=0.03)


def test_gif_stays_at_the_reset_while_refractory():
    cell = GIF(refractory=3.0, dt=0.1, learn=False).double()
    V = simulate(cell, step_current([5.0], 0.1, duration=50.0, start=0.0), warm_up=0.0)[:, 0]
    first = int((V == 20.0).nonzero()[0])
    assert (V[first + 1 : first + 31] == -55.0).all()
    assert V[first + 31] > -55.0


def test_gif_s_kernels_act_after_a_spike():
    """Against a loop that sums the kernels over the spikes."""
    dt, current = 0.05, step_current([0.2], 0.05, duration=200.0, start=0.0)
    cell = GIF(dt=dt, learn=False).double()
    V = simulate(cell, current, warm_up=0.0)[:, 0].numpy()
    steps, spikes, potential = np.arange(len(V)), [], -65.0
    for t in steps:
        past = np.array([dt * (t - s) for s in spikes])
        w = sum(j * np.exp(-(past - dt) / tau).sum() for j, tau in ((0.1, 8), (0.01, 90)))
        v = sum(j * np.exp(-past / tau).sum() for j, tau in ((5, 10), (1, 150)))
        goal = -65 + (0.2 - w) / 0.005
        potential = goal + (potential - goal) * np.exp(-dt * 0.05)
        if len(past) and past[-1] < 4.0 + dt / 2:
            potential = -55.0
        elif potential >= -45 + v:
            assert V[t] == 20.0, t
            spikes.append(t)
            potential = -55.0
            continue
        assert abs(V[t] - potential) < 1e-6, t
    assert len(spikes) >= 4


def test_cells_of_both_kinds_side_by_side():
    current = step_current([0.4, 0.8], duration=60.0)
    for kind, name, values in ((AdEx, "VT", [-52.0, -49.0]), (GIF, "VT", [-48.0, -40.0])):
        family = kind(2, **{name: torch.tensor(values)}, learn=False).double()
        together = simulate(family, current[:, :, None].expand(-1, -1, 2))
        for k, value in enumerate(values):
            alone = simulate(kind(**{name: value}, learn=False).double(), current)
            torch.testing.assert_close(together[:, :, k], alone, rtol=1e-6, atol=1e-4)


def test_kernels_of_other_lengths():
    with pytest.raises(ValueError, match="tau_eta: expected as many as eta, 1, got 2"):
        GIF(eta=[0.1])
