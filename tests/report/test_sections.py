"""What single sections say."""

import base64

import numpy as np
import pytest

from neurodyn.report import packing
from neurodyn.report.context import Context
from neurodyn.report.folder import RunFolder
from neurodyn.report.sections import curves, energy, scores
from tests.report.runs import activity, add


def test_numbers_are_packed_as_the_script_reads_them():
    assert base64.b64decode(packing.bits(np.array([1, 0, 0, 2, 0, 0, 0, 0, 1]))) == b"\x90\x80"
    assert base64.b64decode(packing.octets(np.array([0, 255.0, 300]))) == b"\x00\xff\xff"
    packed = base64.b64decode(packing.words(np.array([1.4, -2, np.nan, 1e9])))
    assert np.frombuffer(packed, "<i2").tolist() == [1, -2, -32768, 32767]


def test_energy_of_synapses_belongs_to_the_layer_behind_them():
    rows = energy.layer_rows(activity())
    assert [row.name for row in rows] == ["layer 1", "layer 2", "read-out"]
    # Nanojoules per sample, by hand: 100 products; 40 updates of both operations; 50 additions.
    assert rows[0].synapses == pytest.approx(100 * 4.6 / 2 / 1000)
    assert rows[0].neurons == pytest.approx(40 * (3.7 + 0.9) / 2 / 1000)
    assert rows[1].synapses == rows[2].synapses == pytest.approx(50 * 0.9 / 2 / 1000)
    assert rows[0].spikes == 4.0


def test_equal_curves_are_said_to_be_equal_and_differ_in_style(tmp_path):
    add(tmp_path, "lif", 0, 70.0)
    add(tmp_path, "plif", 0, 70.0)
    drawn = curves.show(Context(RunFolder(tmp_path), read_data=False))
    assert "The curves of lif and plif are equal." in drawn
    assert "line dashed k0" in drawn
    assert "line dashed k1" in drawn


def test_a_dot_per_seed(tmp_path):
    for seed, score in enumerate((70.0, 72.0, 71.0)):
        add(tmp_path, "lif", seed, score)
    drawn = scores.show(Context(RunFolder(tmp_path), read_data=False))
    assert drawn.count("<circle") == 3
    assert "lif, seed 1: 72.00 %" in drawn
