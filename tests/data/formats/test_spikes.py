from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurodyn.data.formats.spikes import Bins, bin_spikes, read_counts, read_labels
from tests.data.files import write_spikes

BINS = Bins(steps=10, seconds=0.1, recorded=6, channels=3)
LAYOUT = Bins(steps=100, seconds=0.01, recorded=700, channels=140)


def binned(times: list[float], units: list[int]) -> np.ndarray:
    return bin_spikes(np.array(times, np.float16), np.array(units, np.uint16), BINS)


def test_spikes_are_counted_in_steps_and_summed_over_neighbours() -> None:
    counts = binned([0, 0.0999, 0.11, 0.95, 1.0, 2], [0, 1, 5, 4, 0, 0])
    expected = np.zeros((10, 3), np.uint8)
    expected[0, 0] = 2
    expected[1, 2] = 1
    expected[9, 2] = 1
    assert np.array_equal(counts, expected)
    assert binned([], []).sum() == 0


def test_half_precision_does_not_move_spikes() -> None:
    times = np.arange(0, 1, 0.0005).astype(np.float16)
    counts = bin_spikes(times, np.zeros(len(times), int), replace(BINS, seconds=0.01))
    expected = np.floor(times.astype(np.float64) / 0.01).astype(int)
    assert np.array_equal(counts[:, 0], np.bincount(expected)[:10])


@pytest.mark.parametrize(
    ("times", "units", "message"),
    [
        ([0.1], [1, 2], "found 1 times and 2 units"),
        ([-0.1], [1], "times that are negative"),
        ([float("nan")], [1], "or not finite"),
        ([0.1], [6], "found units 6 to 6, expected 0 to 5"),
        ([0.1] * 300, [0] * 300, "found 300 spikes in one step"),
    ],
)
def test_spikes_that_cannot_be(times: list[float], units: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        binned(times, units)


def test_file(tmp_path: Path) -> None:
    path = write_spikes(tmp_path / "a.h5", [3, 1, 2])
    counts = np.stack(list(read_counts(path, LAYOUT)))
    assert counts.shape == (3, 100, 140)
    assert read_labels(path).tolist() == [3, 1, 2]
    assert (counts.sum((1, 2)) < 50).any(), "later than 1 s"
    (half,) = {sample.shape for sample in read_counts(path, replace(LAYOUT, channels=70))}
    assert half == (100, 70)


def test_broken_file(tmp_path: Path) -> None:
    bins = replace(LAYOUT, recorded=600, channels=60)
    path = write_spikes(tmp_path / "a.h5", [0])
    with pytest.raises(ValueError, match=r"a\.h5: sample 0: found units .* expected 0 to 599"):
        list(read_counts(path, bins))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"a\.h5: no complete HDF5 file"):
        list(read_counts(path, bins))
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["labels"] = [1]
    with pytest.raises(ValueError, match=r"found \['labels'\], expected 'spikes/times'"):
        list(read_counts(tmp_path / "b.h5", bins))
