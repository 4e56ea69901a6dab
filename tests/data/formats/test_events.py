from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurodyn.data.formats.events import EVENT, event_frames, read_events
from tests.data.files import find_real, write_nmnist

pytest.importorskip("tonic")


def made(number: int, side: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    events = np.empty(number, EVENT)
    events["x"], events["y"] = rng.integers(0, side, (2, number))
    events["t"] = np.sort(rng.integers(0, 10_000, number) ** 2)
    events["p"] = rng.random(number) < 0.5
    return events


def test_frames_by_count_hold_as_many_events_each() -> None:
    events = made(103)
    frames = event_frames(events, 4, 10, "count")
    assert frames.shape == (10, 2, 4, 4)
    assert frames.dtype == np.uint8
    assert frames.sum((1, 2, 3)).tolist() == [10] * 10
    expected = np.zeros((2, 4, 4), int)
    for x, y, _, p in events[20:30]:
        expected[int(p), y, x] += 1
    assert np.array_equal(frames[2], expected)


def test_frames_by_time_last_as_long_each() -> None:
    events = made(1000)
    frames = event_frames(events, 4, 10, "time")
    since = events["t"] - events["t"][0]
    expected = np.histogram(since, 10, (0, since[-1]))[0].tolist()
    assert frames.sum((1, 2, 3)).tolist() == expected
    assert sum(expected) == 1000, "the last event too"
    assert expected[0] > 2 * expected[-1]


def test_frames_of_a_moment() -> None:
    events = made(20)
    events["t"] = 7
    assert event_frames(events, 4, 3, "time").sum((1, 2, 3)).tolist() == [20, 0, 0]


def test_a_hot_pixel_does_not_wrap_around() -> None:
    events = made(600, 1)
    events["p"] = True
    assert event_frames(events, 1, 2, "count")[:, 1, 0, 0].tolist() == [255, 255]


def test_frames_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="found 5 events, expected one for each of 10 frames"):
        event_frames(made(5), 4, 10, "count")
    with pytest.raises(ValueError, match="found x from 0 to 3, expected 0 to 2"):
        event_frames(made(100), 3, 10, "count")


def test_nmnist_file(tmp_path: Path) -> None:
    events = made(50, 34)
    read = read_events(write_nmnist(tmp_path / "a.bin", events))
    events["t"] = np.minimum(events["t"], 2**23 - 1)
    assert read.tolist() == events.tolist()


def test_aedat2_file(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    # A column counts from the right, and a polarity of 0 is brighter.
    words = np.array([[5 << 8 | 3 << 1 | 0, 70], [127 << 8 | 127 << 1 | 1, 90]], ">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n# Timestamps tick: 1 us\r\n" + words.tobytes())
    assert read_events(path).tolist() == [(124, 5, 70, True), (0, 127, 90, False)]


def test_array_file_in_milliseconds(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2, 1, 7.5], [3, 4, 0, 5.0]]))
    assert read_events(tmp_path / "a.npy").tolist() == [(3, 4, 5000, False), (1, 2, 7500, True)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"1234", "not a complete .bin recording .4 bytes, expected 5 for each event"),
        ("a.aedat", b"#!AER-DAT3.1\r\n", "begins with b'#!AER-DAT3.1', expected #!AER-DAT2.0"),
        ("a.aedat", b"#!AER-DAT2.0\r\n123", "not a complete .aedat recording"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n", "not a complete .aedat4 recording"),
        ("a.npy", b"", "not a complete .npy recording"),
        ("a.bin", b"", "found no events"),
        ("a.txt", b"", "expected a file of .bin, .aedat4, .aedat, .npy"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_events(path)
    assert str(path) in str(error.value)


def test_real_files() -> None:
    folder = find_real("event_samples/sample.aedat4") / "event_samples"
    assert len(read_events(folder / "sample_nmnist.bin")) == 4325
    events = read_events(folder / "sample.aedat4")
    assert len(events) == 111_954
    assert (events["x"].max(), events["y"].max()) == (319, 239)
