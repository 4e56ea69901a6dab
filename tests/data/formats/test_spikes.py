from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurodyn.data.formats.spikes import Bins, bin_spikes, read_counts, read_labels, read_speakers
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


def steps_of(times: np.ndarray, seconds: float) -> list[int]:
    bins = Bins(steps=2000, seconds=seconds, recorded=1, channels=1)
    counts = [bin_spikes(times[[n]], np.zeros(1, int), bins) for n in range(len(times))]
    return [int(count.argmax()) for count in counts]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("milliseconds", [0.1, 1, 2, 2.5, 4, 5, 10, 20, 33.3])
def test_an_edge_belongs_to_the_later_step(dtype: type, milliseconds: float) -> None:
    seconds, steps = milliseconds / 1000, np.arange(300)
    rounded = np.array([float(f"{n * milliseconds / 1000:.6f}") for n in steps], dtype)
    for times in (rounded, steps.astype(dtype) * dtype(seconds), (steps * seconds).astype(dtype)):
        assert steps_of(times, seconds) == steps.tolist()
    before = ((steps[1:] - 1e-4) * seconds).astype(dtype)
    assert steps_of(before, seconds) == steps[:-1].tolist(), "a time before the edge stays there"


@pytest.mark.parametrize("milliseconds", [4, 5, 10, 20])
def test_an_edge_in_half_precision(milliseconds: float) -> None:
    steps = np.arange(int(1000 / milliseconds))
    times = (steps * milliseconds / 1000).astype(np.float16)
    assert steps_of(times, milliseconds / 1000) == steps.tolist()


def test_late_and_integer_times() -> None:
    bins = replace(BINS, seconds=1.0)
    late = np.array([1e30, 3.0, 10.0])
    assert bin_spikes(late, np.zeros(3, int), bins)[:, 0].tolist() == [0, 0, 0, 1, *[0] * 6]
    assert bin_spikes(np.array([3]), np.array([0]), bins)[3, 0] == 1


def test_half_precision_in_a_file_counts_as_it_is_stored(tmp_path: Path) -> None:
    times = np.arange(0, 1, 0.0005).astype(np.float16)
    path = write_spikes(tmp_path / "a.h5", [0])
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "r+") as file:
        file["spikes/times"][0] = times
        file["spikes/units"][0] = np.zeros(len(times), np.uint16)
    (counts,) = read_counts(path, replace(LAYOUT, seconds=0.01))
    expected = np.floor(times.astype(np.float64) / 0.01).astype(int)
    assert np.array_equal(counts[:, 0], np.bincount(expected)[:100])


@pytest.mark.parametrize(
    ("times", "units", "message"),
    [
        ([0.1], [1, 2], r"found \(1,\) times and \(2,\) units of spikes"),
        ([-0.1], [1], "times that are negative"),
        ([float("nan")], [1], "or not finite"),
        ([0.1], [6], "found units 6 to 6, expected 0 to 5"),
        ([0.1], [1.5], "found units of float64, expected integers"),
        ([0.1] * 300, [0] * 300, "found 300 spikes in one step"),
    ],
)
def test_spikes_that_cannot_be(times: list[float], units: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bin_spikes(np.array(times), np.array(units), BINS)


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
    with pytest.raises(ValueError, match=r"a\.h5: .*expected a complete HDF5 file"):
        list(read_counts(path, bins))
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["labels"] = [1]
    with pytest.raises(ValueError, match=r"found \['labels'\], expected 'spikes/times'"):
        list(read_counts(tmp_path / "b.h5", bins))


def linked(tmp_path: Path, kind: str) -> Path:
    """A file whose labels are those of another file, or a part of it."""
    h5py = pytest.importorskip("h5py")
    other = write_spikes(tmp_path / "other.h5", [7])
    path = write_spikes(tmp_path / "a.h5", [0])
    with h5py.File(path, "r+") as file:
        del file["labels"]
        if kind == "ExternalLink":
            file["labels"] = h5py.ExternalLink(str(other), "/labels")
        elif kind == "SoftLink":
            file["beyond"] = h5py.ExternalLink(str(other), "/")
            file["labels"] = h5py.SoftLink("/beyond/labels")
        elif kind == "group":
            del file["spikes"]
            file["spikes"] = h5py.ExternalLink(str(other), "/spikes")
            file["labels"] = [0]
        elif kind == "storage":
            (tmp_path / "secret").write_bytes(b"root:x:0:0")
            external = [(str(tmp_path / "secret"), 0, 10)]
            file.create_dataset("labels", (10,), np.uint8, external=external)
        elif kind == "virtual":
            layout = h5py.VirtualLayout((1,), np.uint16)
            layout[:] = h5py.VirtualSource(str(other), "labels", (1,))
            file.create_virtual_dataset("labels", layout)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ExternalLink", "found the link ExternalLink at 'labels', expected the data themselves"),
        ("SoftLink", "found the link SoftLink at 'labels'"),
        ("group", "found the link ExternalLink at 'spikes/times'"),
        ("storage", "the data of 'labels' are in other files, expected them in this"),
        ("virtual", "the data of 'labels' are in other files"),
    ],
)
def test_no_file_reads_another_one(tmp_path: Path, kind: str, message: str) -> None:
    path = linked(tmp_path, kind)
    with pytest.raises(ValueError, match=rf"a\.h5: {message}"):
        list(read_counts(path, LAYOUT))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.7]), r"found 'labels' of float64, shape \(1,\); expected integers \(N,\)"),
        (np.array([[1]]), r"found 'labels' of int64, shape \(1, 1\)"),
        (np.array([b"\xff"]), r"found 'labels' of \|S1"),
        (None, r"'labels' claims 8,000,000,000,000 bytes, expected at most 0"),
        ("group", "found no array at 'labels', expected one"),
    ],
)
def test_labels_that_are_not_integers(tmp_path: Path, values: object, message: str) -> None:
    h5py = pytest.importorskip("h5py")
    path = write_spikes(tmp_path / "a.h5", [0])
    with h5py.File(path, "r+") as file:
        del file["labels"]
        if values is None:
            file.create_dataset("labels", (10**12,), np.int64, chunks=(1000,))
        elif isinstance(values, str):
            file.create_group("labels")
        else:
            file["labels"] = values
    with pytest.raises(ValueError, match=rf"a\.h5: {message}"):
        read_labels(path)


def test_speakers_that_are_not_text(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = write_spikes(tmp_path / "a.h5", [0], speakers=[1])
    assert read_speakers(path).tolist() == ["bob"]
    with h5py.File(path, "r+") as file:
        file["extra/meta_info/speaker_name"][1] = b"\xff"
    with pytest.raises(ValueError, match=r"a\.h5: .*codec.* expected text in"):
        read_speakers(path)


def test_a_file_damaged_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5's library stays in a loop for some of these."""
    monkeypatch.setattr("neurodyn.data.formats.child.PATIENCE", 0.5)
    path = write_spikes(tmp_path / "a.h5", [0, 1, 2])
    content, messages = path.read_bytes(), []
    for start in range(2200, len(content), 400):
        path.write_bytes(content[:start] + bytes(40) + content[start + 40 :])
        try:
            list(read_counts(path, LAYOUT))
        except ValueError as error:
            messages.append(str(error))
    assert any("the decoder took longer than" in message for message in messages)
    assert all(message.startswith(f"{path}: ") for message in messages)
