import json
import os
from pathlib import Path

import pytest
import torch

from neurodyn.biophysics import spike_times
from neurodyn.biophysics.allen import AllenCell, AllenFamily

DATA = Path(os.environ.get("NEURODYN_DATA", "~/.cache/neurodyn/data")).expanduser()
MODEL = DATA / "ephys" / "allen_all_active_491766131"
published = pytest.mark.skipif(not MODEL.is_dir(), reason=f"{MODEL} is not there")

SWC = """1 1 0 0 0 6 -1
2 3 6 0 0 0.6 1
3 3 60 0 0 0.5 2
4 3 130 0 0 0.4 3
5 2 0 -6 0 0.7 1
6 2 0 -50 0 0.5 5
7 2 0 -70 0 0.3 6
8 2 15 -130 0 0.2 7
9 2 -15 -130 0 0.2 7
"""
MOD = """NEURON { SUFFIX tinyleak NONSPECIFIC_CURRENT i RANGE gbar, e }
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER { gbar = 0 (S/cm2) e = -60 (mV) }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT { i = gbar*(v - e) }
"""


def gene(section, name, value, mechanism=""):
    return {"section": section, "name": name, "value": str(value), "mechanism": mechanism}


@pytest.fixture
def folder(tmp_path):
    """A passive cell in the files that the Allen Institute publishes."""
    genome = [gene(part, "g_pas", 1e-4) for part in ("soma", "axon", "dend")]
    genome += [gene(part, "e_pas", -80.0) for part in ("soma", "axon", "dend")]
    genome += [gene("soma", "gbar_tinyleak", 1e-4, "tinyleak"), gene("soma", "cm", 2.0)]
    fit = {
        "passive": [{"ra": 100}],
        "conditions": [{"celsius": 34, "erev": [], "v_init": -80}],
        "genome": genome,
    }
    (tmp_path / "fit_parameters.json").write_text(json.dumps(fit))
    (tmp_path / "reconstruction.swc").write_text(SWC)
    (tmp_path / "modfiles").mkdir()
    (tmp_path / "modfiles" / "tinyleak.mod").write_text(MOD)
    return tmp_path


def test_making_a_cell_runs_nothing(folder, monkeypatch):
    import neurodyn.biophysics.allen as module

    monkeypatch.setattr(module, "neuron", None)
    cell = AllenCell(folder)
    assert cell.values["soma", "cm"] == 2.0
    assert ("soma", "gbar_tinyleak") in cell.conductances
    assert ("soma", "e_pas") not in cell.conductances


def test_what_is_missing_is_named(folder):
    fit = folder / "fit_parameters.json"
    whole = json.loads(fit.read_text())
    fit.write_text(json.dumps({**whole, "genome": [{"section": "soma"}]}))
    with pytest.raises(ValueError, match=r"fit_parameters\.json: .* got KeyError: 'name'"):
        AllenCell(folder)
    fit.write_text(json.dumps({**whole, "genome": [gene("tail", "g_pas", 1)]}))
    with pytest.raises(ValueError, match=r"expected sections .* got \['tail'\]"):
        AllenCell(folder)
    fit.write_text("{")
    with pytest.raises(ValueError, match=r"fit_parameters\.json: expected JSON"):
        AllenCell(folder)
    fit.write_text(json.dumps(whole))
    (folder / "modfiles" / "tinyleak.mod").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected mechanisms \.mod"):
        AllenCell(folder)
    (folder / "reconstruction.swc").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected one \*\.swc .* got none"):
        AllenCell(folder)


def test_the_models_of_a_family_differ_in_conductances(folder):
    family = AllenCell(folder).vary(0.1, models=4, held_out=1, seed=3)
    assert isinstance(family, AllenFamily)
    shares = torch.stack([*family.quantities.values()])
    assert shares.shape == (4, 4)
    assert 0.9 <= shares.min() < 0.95 < 1.05 < shares.max() <= 1.1
    with pytest.raises(ValueError, match=r"dt: expected that of the cell, 0\.1 ms, got 0\.025"):
        family.run(torch.tensor([0]), torch.zeros(10, 1), 0.025)


@pytest.mark.slow
def test_a_passive_cell_in_neuron(folder):
    pytest.importorskip("neuron")
    cell = AllenCell(folder)
    V = cell.simulate(torch.zeros(5000, 1))
    assert V.shape == (5000, 1)
    _, parts, *_ = cell._model()
    stub = parts["axon"]
    assert [section.L for section in stub] == [30, 30]
    # The reconstruction's: of its first section, and of one beyond 60 um.
    assert stub[0].diam > 0.9
    assert stub[1].diam == pytest.approx(0.5, abs=0.1)
    assert -80 < V[-1, 0] < -60
    family = cell.vary(0.1, models=3, held_out=1)
    current = torch.zeros(2000, 3)
    current[1000:] = 0.01
    many = family.run(torch.tensor([0, 1, 0]), current, 0.1, every=4)
    assert many.shape == (500, 3)
    assert torch.equal(many[:, 0], many[:, 2])
    assert (many[:, 0] - many[:, 1]).abs().max() > 1e-3
    assert (many[-1] > many[240]).all()
    torch.testing.assert_close(cell.simulate(torch.zeros(5000, 1)), V)  # The fit's values again.
    whole = cell.simulate(current[:, :2])
    for _ in range(2):  # The second time from states that were kept.
        assert torch.equal(cell.simulate(current[1000:, :2], warm_up=100.0), whole[1000:])
    assert torch.equal(family.run(torch.tensor([1]), current[:, :1], 0.1, every=4), many[:, 1:2])


@published
@pytest.mark.slow
def test_the_published_cell_fires_when_it_should():
    pytest.importorskip("neuron")
    current = torch.zeros(21_000, 1)
    current[10_200:20_200] = 0.15  # Sweep 35.
    V = AllenCell(MODEL).simulate(current)
    assert V[10_150, 0].item() == pytest.approx(-82.65, abs=0.01)
    (times,) = spike_times(V, 0.1, threshold=-15.0)
    assert times.tolist() == pytest.approx([1095.7, 1297.1, 1549.5, 1801.8], abs=0.5)
