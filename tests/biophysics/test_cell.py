import pytest
import torch

from neurodyn.biophysics import (
    GIF,
    AdEx,
    Cell,
    HodgkinHuxley,
    Pospischil,
    TraubMiles,
    simulate,
    spike_times,
)
from neurodyn.biophysics.cell import linoid
from tests.scan.contract import error

CELLS = {"squid": HodgkinHuxley, "Traub-Miles": TraubMiles, "Pospischil": Pospischil}
AMPLITUDES = {"squid": (0.0, 10.0, 20.0), "Traub-Miles": (0.0, 0.3, 0.6)}
AMPLITUDES["Pospischil"] = (-0.11, 0.1, 0.28)
FIRING = CELLS | {"AdEx": AdEx, "GIF": GIF}
"""With the cells whose spikes are a reset."""
AMPLITUDES |= {"AdEx": (0.0, 0.5, 1.0), "GIF": (0.0, 0.1, 0.2)}
SPREAD = {"AdEx": "b", "GIF": "gL"}


def step_current(amplitudes, dt=0.025, duration=100.0, start=20.0):
    current = torch.zeros(round(duration / dt), len(amplitudes), dtype=torch.float64)
    current[round(start / dt) :] = torch.tensor(amplitudes, dtype=torch.float64)
    return current


def results(cell, current, backend, monkeypatch):
    """Potentials, final states and all gradients."""
    import neurodyn.biophysics.compartment as module

    scan = module.scan
    with monkeypatch.context() as patch:
        patch.setattr(module, "scan", lambda *a, **k: scan(*a, **k, backend=backend))
        cell.zero_grad()
        current = current.clone().requires_grad_()
        V, final = cell(current, return_state=True)
        weight = torch.linspace(0.5, 1.5, V.numel(), dtype=V.dtype).reshape(V.shape)
        ((V * weight).mean() + sum(value.mean() for value in final)).backward()
    found = {"potential": V, "current": current.grad}
    found |= dict(zip(cell.states, final, strict=True))
    # Where spikes are a comparison, its threshold has no gradient: none from the loop, 0 otherwise.
    for name, p in cell.named_parameters():
        found[name] = torch.zeros_like(p) if p.grad is None else p.grad
    return {name: value.detach().clone() for name, value in found.items()}


@pytest.mark.parametrize("kind", FIRING)
@pytest.mark.parametrize("cells", [None, 3], ids=["one", "cells"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_the_kernel_gives_what_the_plain_loop_gives(kind, cells, dtype, monkeypatch):
    # Through a spike: 8 ms from rest under a strong current.
    current = step_current([5 * AMPLITUDES[kind][-1]] * 3, duration=8.0, start=0.0)
    current = current[:, None, :] if cells else current
    base = torch.tensor([20.0, 25.0, 30.0])
    name = SPREAD.get(kind, "gK")
    spread = {name: base / (1.0 if name == "gK" else 500.0)} if cells else {}
    cell = FIRING[kind](cells, **spread)
    truth = results(cell.double(), current, "reference", monkeypatch)
    assert truth["potential"].max() > 0
    plain = results(cell.to(dtype), current.to(dtype), "reference", monkeypatch)
    found = results(cell, current.to(dtype), "cpu", monkeypatch)
    tolerance = {torch.float32: 2e-3, torch.float64: 1e-9}[dtype]
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        # Through AdEx's upstroke, float32 is no better in the plain loop.
        loop = 3 * error(plain[name], value) if kind == "AdEx" else 0.0
        assert error(found[name], value) < max(tolerance, loop), name


@pytest.mark.parametrize("kind", FIRING)
def test_the_kernel_for_gpus_does_too(kind, monkeypatch):
    pytest.importorskip("triton")
    current = step_current(AMPLITUDES[kind][-1:], duration=0.25, start=0.0)
    cell = FIRING[kind]()
    truth = results(cell.double(), current, "reference", monkeypatch)
    found = results(cell.float(), current.float(), "gpu", monkeypatch)
    assert max(error(found[name], value) for name, value in truth.items()) < 5e-3


@pytest.mark.parametrize("kind", CELLS)
def test_a_finer_step_comes_to_the_same_spikes_at_first_order(kind):
    amplitude = AMPLITUDES[kind][1]
    times = []
    for dt in (0.02, 0.01, 0.0025):
        cell = CELLS[kind](dt=dt, learn=False).double()
        V = simulate(cell, step_current([amplitude], dt, duration=60.0))
        times.append(torch.from_numpy(spike_times(V, dt)[0]))
    assert len(times[0]) == len(times[1]) == len(times[2]) >= 2
    coarse, fine = ((each - times[2]).abs().max() for each in times[:2])
    assert fine < 0.7 * coarse < 0.2


def test_how_often_the_cells_fire():
    V = simulate(
        Pospischil(learn=False).double(), step_current([-0.11, 0.1, 0.2, 0.28], duration=420.0)
    )
    counts = [len(times) for times in spike_times(V, 0.025)]
    assert counts[0] == 0
    assert counts[1:] == [pytest.approx(each, abs=1) for each in (23, 50, 66)]
    # The squid's axon fires about 70 times per second at 10 uA/cm2, and not for 5.
    V = simulate(HodgkinHuxley(learn=False).double(), step_current([2.0, 10.0], duration=520.0))
    quiet, firing = (len(times) for times in spike_times(V, 0.025))
    assert (quiet, firing) == (0, pytest.approx(34, abs=2))


def test_cells_side_by_side_are_each_alone():
    values = torch.tensor([18.0, 23.0, 28.0])
    current = step_current([0.1, 0.2], duration=40.0)
    together = simulate(
        Pospischil(3, gK=values, learn=False).double(), current[:, :, None].expand(-1, -1, 3)
    )
    for k, value in enumerate(values):
        alone = simulate(Pospischil(gK=value.item(), learn=False).double(), current)
        torch.testing.assert_close(together[:, :, k], alone, rtol=1e-9, atol=1e-7)


def test_gradients_reach_the_conductances_through_the_warm_up():
    cell = Pospischil().double()
    V = simulate(cell, step_current([-0.05], duration=30.0), warm_up=20.0)
    V.mean().backward()
    grad = cell.raw_gL.grad.item()
    raw = cell.raw_gL.detach().clone()
    values = []
    for shift in (-1e-5, 1e-5):
        with torch.no_grad():
            cell.raw_gL.copy_(raw + shift)
            V = simulate(cell, step_current([-0.05], duration=30.0), warm_up=20.0)
            values.append(V.mean().item())
    assert grad == pytest.approx((values[1] - values[0]) / 2e-5, rel=1e-5)


def test_linoid():
    x = torch.tensor([-3.0, -1e-5, 0.0, 1e-5, 2.0], dtype=torch.float64, requires_grad=True)
    y = linoid(x)
    expected = [
        3 / (1 - torch.exp(torch.tensor(-3.0)).item()),
        1 + 5e-6,
        1.0,
        1 - 5e-6,
        0.31303528549933,
    ]
    torch.testing.assert_close(y.detach(), torch.tensor(expected).double(), rtol=1e-5, atol=0)
    y.sum().backward()
    assert x.grad[2].item() == -0.5
    assert torch.isfinite(x.grad).all()


def test_what_does_not_fit():
    cell = Pospischil(3)
    with pytest.raises(ValueError, match=r"current: expected \(T, traces\) .* got \(5,\)"):
        cell(torch.zeros(5))
    with pytest.raises(ValueError, match=r"current: expected 3 cells in the last dimension"):
        cell(torch.zeros(5, 2, 4))
    with pytest.raises(ValueError, match="dt: expected at least"):
        Pospischil(dt=0.0)
    with pytest.raises(ValueError, match=r"Pospischil: unknown name 'gna'\. Did you mean 'gNa'"):
        Pospischil(gna=3.0)
    with pytest.raises(NotImplementedError, match="Cell does not define its kinetics"):
        Cell().kinetics(torch.zeros(1))
