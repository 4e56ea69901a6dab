import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from neurodyn.biophysics import Pospischil, PospischilFamily, spike_times
from neurodyn.biophysics.noble import firing
from neurodyn.biophysics.noble import traces as module
from tests.biophysics.noble.conftest import SHORT


def test_models_are_drawn_from_the_ranges_by_seed(family):
    for name, (low, high) in PospischilFamily.ranges.items():
        values = family.quantities[name]
        assert len(values) == 5
        assert low <= values.min() < values.max() <= high
    again, other = (Pospischil.family(5, 2, seed=s) for s in (0, 1))
    assert torch.equal(again.quantities["gK"], family.quantities["gK"])
    assert not torch.equal(other.quantities["gK"], family.quantities["gK"])


def test_held_out_models_are_apart(family):
    assert family.part("training").tolist() == [0, 1, 2]
    assert family.part("held out").tolist() == [3, 4]
    assert set(family.simulate(SHORT, 4, part="held out").model.tolist()) == {3, 4}
    with pytest.raises(ValueError, match="the family holds no model out"):
        Pospischil.family(3, 0).part("held out")
    with pytest.raises(ValueError, match="part: expected 'training' or 'held out', got 'test'"):
        family.part("test")


def test_a_model_fires_above_its_threshold_and_not_below(family):
    threshold, slope = family.features.T
    assert ((threshold > 0.03) & (threshold < 0.08)).all()
    assert ((slope > 800) & (slope < 2500)).all()
    models = torch.arange(5)
    assert all(len(times) == 0 for times in family.spikes(models, threshold - 2e-4))
    assert all(len(times) > 0 for times in family.spikes(models, threshold + 2e-4))


def test_thresholds_and_slopes_of_a_known_curve():
    def respond(models, amplitude):  # A rate of 1000 Hz/nA (I - .05 nA - .01 nA per model).
        rate = 1000 * (amplitude - 0.05 - 0.01 * models)
        return [[1e3 * k / r for k in range(9)] if r > 0 else [] for r in rate.tolist()]

    models = torch.tensor([0, 2, 40])
    threshold = firing.thresholds(respond, models, 0.0, 0.28)
    torch.testing.assert_close(threshold[:2], torch.tensor([0.05, 0.07]), rtol=0, atol=5e-5)
    assert threshold[2].isnan()
    slope = firing.slopes(respond, models[:2], threshold[:2], 400.0)
    torch.testing.assert_close(slope, torch.tensor([1000.0, 1000.0]), rtol=1e-3, atol=0)
    once = firing.rates(lambda m, a: [[5.0], []], models[:2], models[:2], 400.0)
    assert once.tolist() == [2.5, 0.0]


def test_a_model_that_does_not_begin_to_fire_is_named(monkeypatch):
    family = Pospischil.family(2, 0, seed=77)
    monkeypatch.setattr(PospischilFamily, "currents", (0.0, 0.02))
    with pytest.raises(ValueError, match=r"family: model 0 fires at 0 nA already, or not at 0\.02"):
        _ = family.features


def test_traces_are_those_of_the_cell(family, traces):
    assert traces.V.shape == (12, 200)
    assert traces.model.tolist() == [0, 1, 2] * 4
    k = 4
    cell = Pospischil(
        learn=False, dt=0.0125, **{n: v[1].item() for n, v in family.quantities.items()}
    )
    from neurodyn.biophysics import simulate

    current = SHORT.current(traces.amplitude[k : k + 1], traces.onset[k : k + 1], 0.0125)
    V = simulate(cell, current, every=8)[:, 0]
    torch.testing.assert_close(traces.V[k], V, rtol=0, atol=0.05)
    some = traces.subset(torch.tensor([1, 3]))
    assert len(some) == 2
    assert torch.equal(some.V[1], traces.V[3])
    torch.testing.assert_close(some.features, family.features[some.model])


def test_traces_that_are_there_are_not_made_again(family, traces, monkeypatch):
    monkeypatch.setattr(PospischilFamily, "run", None)
    assert torch.equal(family.simulate(SHORT, 12, dt=0.1).V, traces.V)


def test_a_stopped_simulation_goes_on_behind_the_last_file(family, tmp_path, monkeypatch):
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "SHARD", 4)
    run, rows = PospischilFamily.run, []

    def failing(self, models, *rest):
        rows.append(len(models))
        if len(rows) == 3:
            raise KeyboardInterrupt
        return run(self, models, *rest)

    monkeypatch.setattr(PospischilFamily, "run", failing)
    with pytest.raises(KeyboardInterrupt):
        family.simulate(SHORT, 12, dt=0.1)
    assert len(list((tmp_path / "samples").iterdir())) == 2  # Nothing half-written is left.
    again = family.simulate(SHORT, 12, dt=0.1)
    assert rows == [4, 4, 4, 4]
    monkeypatch.undo()
    torch.testing.assert_close(again.V, family.simulate(SHORT, 12, dt=0.1).V, rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_simulation_goes_on(tmp_path):
    code = (
        "from neurodyn.biophysics import Pospischil; from neurodyn.biophysics.noble import Steps;"
        "print('go', flush=True); Pospischil.family(4, 1).simulate(Steps(), 4000)"
    )
    env = {**os.environ, "NEURODYN_CACHE": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    kept = Path(tmp_path, "samples")
    while not list(kept.glob("traces-*.npy")):
        assert process.poll() is None
    process.kill()
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in kept.glob("traces-*.npy")}
    assert 0 < len(before) < 4
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    after = {path: path.stat().st_mtime_ns for path in kept.glob("traces-*.npy")}
    assert len(after) == 4
    assert before.items() <= after.items()


def test_a_grid_that_is_not_a_multiple_of_the_step(family):
    with pytest.raises(ValueError, match=r"dt: expected a multiple of .* 0\.0125, got 0\.03"):
        family.simulate(SHORT, 2, dt=0.03)


def test_what_a_family_cannot_be():
    with pytest.raises(ValueError, match="held_out: expected a number from 0 to 4"):
        Pospischil.family(5, 5)
    with pytest.raises(ValueError, match="simulator: expected 'kernel' or 'neuron', got 'brian'"):
        PospischilFamily(simulator="brian")


@pytest.mark.slow
def test_neuron_gives_the_same_traces(family, traces):
    pytest.importorskip("neuron")
    other = PospischilFamily(5, 2, 0, simulator="neuron").simulate(SHORT, 12, dt=0.1)
    ours, theirs = (spike_times(each.V.T, 0.1) for each in (traces, other))
    assert [len(times) for times in ours] == [len(times) for times in theirs]
    assert sum(map(len, ours)) > 0
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) == 0 or abs(a - b).max() < 0.2
    silent = torch.tensor([len(times) == 0 for times in ours])
    torch.testing.assert_close(traces.V[silent], other.V[silent], rtol=0, atol=0.1)
