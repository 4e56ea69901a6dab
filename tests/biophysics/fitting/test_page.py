"""The folder of a fitted cell."""

import json
import re

import numpy as np
import pytest

from neurodyn import LIF, LNM
from neurodyn.biophysics import Fitted, Recording
from neurodyn.biophysics.fitting.model import Escape, learning
from neurodyn.biophysics.fitting.page import flows, write_folder

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def recording():
    """Two sweeps of half a second with spikes every 30 ms."""
    time = np.arange(5_000) * 0.1
    voltage = np.where(time % 30 > 29.8, 20.0, -60.0 + 10 * np.sin(time / 7))
    return Recording(np.full((5_000, 2), 0.1), np.stack([voltage, voltage], 1), 0.1)


@pytest.fixture(scope="module")
def fits(recording):
    found = {}
    for neuron in (LNM(degree=3), LIF()):
        model = Escape(
            learning(neuron), 0.1, currents=(8.0,), thresholds=(10.0,), lags=(), refractory=4.0
        )
        fitted = Fitted(model, {})
        found[type(neuron).__name__] = fitted, fitted.score(recording, runs=2)
    return found


def test_the_folder_is_whole(recording, fits, tmp_path):
    folder = write_folder(fits, recording, tmp_path / "cell", "a <cell>")
    assert {path.name for path in folder.iterdir()} == {"cell.json", "scores.json", "index.html"}
    assert type(Fitted.load(folder / "cell.json").model.neuron) is LNM
    scores = json.loads((folder / "scores.json").read_text())
    assert {name: found["nll"] for name, found in scores.items()} == {
        name: score.nll for name, (_, score) in fits.items()
    }
    write_folder(fits, recording, tmp_path / "cell", "again")
    (folder / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"out: .* holds something else: thesis\.tex"):
        write_folder(fits, recording, folder, "again")
    assert [path.name for path in tmp_path.iterdir()] == ["cell"]


def test_the_page_stands_alone_and_has_both_neurons(recording, fits, tmp_path):
    folder = write_folder(fits, recording, tmp_path / "cell", "a <cell>")
    page = (folder / "index.html").read_text()
    assert page.count("<svg") == 3
    assert "a &lt;cell&gt;" in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    (row,) = re.findall(r"<tr><th>voltage error.*?</tr>", page)
    assert re.findall(r"<td>([^<]*)</td>", row) == [f"{s.rms:.3f}" for _, s in fits.values()]


def test_flows_are_those_of_the_fits(fits):
    (axes,) = flows(fits).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    for name, (fitted, _) in fits.items():
        v, f = lines[name].get_data()
        np.testing.assert_allclose(f, fitted.flow(v))
    v, f = lines["LIF"].get_data()
    np.testing.assert_allclose(np.diff(f) / np.diff(v), -1 / 15, rtol=1e-6)  # tau = 15 ms


def test_one_neuron_alone_has_a_page_too(recording, fits, tmp_path):
    folder = write_folder({"LIF": fits["LIF"]}, recording, tmp_path / "cell", "LIF")
    assert (folder / "index.html").read_text().count("<svg") == 3
