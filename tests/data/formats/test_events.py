from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from neurodyn.data.formats.events import EVENT, read_events
from neurodyn.data.formats.frames import event_frames
from tests.data import recordings
from tests.data.files import find_real, write_nmnist

pytest.importorskip("aedat")
pytest.importorskip("expelliarmus")
pytest.importorskip("scipy")


def made(number: int, side: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    events = np.empty(number, EVENT)
    events["x"], events["y"] = rng.integers(0, side, (2, number))
    events["t"] = np.sort(rng.integers(0, 10_000, number) ** 2)
    events["p"] = rng.random(number) < 0.5
    return events


def npy_header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


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
    with pytest.raises(ValueError, match="duration_ms: expected by='time', got by='count'"):
        event_frames(made(100), 4, 10, "count", duration_ms=5)
    with pytest.raises(ValueError, match="start_ms: expected duration_ms beside it, got 3 alone"):
        event_frames(made(100), 4, 10, "time", start_ms=3)
    late = made(3)
    late["t"] = [-(2**53), 0, 2**53]
    with pytest.raises(ValueError, match="us between two events"):
        event_frames(late, 4, 2000, "time")


def moments(*milliseconds: float) -> np.ndarray:
    events = made(len(milliseconds))
    events["t"] = np.array(milliseconds) * 1000
    return events


def test_a_frame_without_events_is_empty() -> None:
    frames = event_frames(moments(0, 1, 100), 4, 10, "time")
    assert frames.sum((1, 2, 3)).tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert event_frames(moments(5), 4, 3, "time").sum((1, 2, 3)).tolist() == [1, 0, 0]


def test_windows_mean_the_same_milliseconds() -> None:
    short, long = moments(7, 17, 26.999, 27), moments(7, 17, 26.999, 27, 60, 1e6)
    for events in (short, long):
        frames = event_frames(events, 4, 4, "time", duration_ms=40)
        assert frames.sum((1, 2, 3))[:3].tolist() == [1, 2, 1]
        later = event_frames(events, 4, 2, "time", start_ms=10, duration_ms=20)
        assert later.sum((1, 2, 3)).tolist() == [2, 1]
    nothing = event_frames(short, 4, 3, "time", start_ms=500, duration_ms=30)
    assert nothing.sum() == 0
    assert event_frames(short[:0], 4, 3, "time", duration_ms=30).shape == (3, 2, 4, 4)


def test_a_rectangular_sensor() -> None:
    events = made(2)
    events["x"], events["y"], events["p"] = 5, 2, True
    frames = event_frames(events, (3, 6), 1, "count")
    assert frames.shape == (1, 2, 3, 6)
    assert frames[0, 1, 2, 5] == 2
    with pytest.raises(ValueError, match="found x from 5 to 5, expected 0 to 2"):
        event_frames(events, (6, 3), 1, "count")


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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.bin", recordings.nmnist()),
        ("a.aedat4", recordings.aedat4()),
        ("a.dat", recordings.dat()),
        ("two.raw", recordings.evt2()),
        ("three.raw", recordings.evt3()),
    ],
)
def test_formats_of_cameras(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    events = read_events(path)[: len(recordings.EVENTS)]
    for column in ("x", "y", "t", "p"):
        assert np.array_equal(events[column], recordings.EVENTS[column])


def test_st_mnist_file(tmp_path: Path) -> None:
    trains = np.zeros((101, 3))
    trains[[3, 3, 47, 99], [0, 2, 1, 1]] = [1, -1, 1, -1]
    trains[100] = [0.29, 0.3, 0.5]
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "a.mat", {"spiketrain": trains})
    assert read_events(tmp_path / "a.mat").tolist() == [
        (3, 0, 290_000, True),
        (7, 4, 300_000, True),
        (9, 9, 300_000, False),
        (3, 0, 500_000, False),
    ]
    scipy_io.savemat(tmp_path / "a.mat", {"spiketrain": trains[1:]})
    with pytest.raises(ValueError, match=r"found spiketrain \(100, 3\) of float64, expected \(101"):
        read_events(tmp_path / "a.mat")


def test_array_file_in_milliseconds(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2, 1, 7.5], [3, 4, 0, 5.0]]))
    assert read_events(tmp_path / "a.npy").tolist() == [(3, 4, 5000, False), (1, 2, 7500, True)]


def test_polarities_of_minus_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2, -1, 5.0], [3, 4, 1, 7.0]]))
    assert read_events(tmp_path / "a.npy")["p"].tolist() == [False, True]


def test_milliseconds_are_rounded_to_microseconds(tmp_path: Path) -> None:
    times = np.arange(2000) / 1000
    np.save(tmp_path / "a.npy", np.stack([times * 0, times * 0, times * 0, times], 1))
    assert read_events(tmp_path / "a.npy")["t"].tolist() == list(range(2000))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ([70_000, 1, 1, 0], "found x from 1.0 to 70000.0, expected 0 to 32767"),
        ([-1, 1, 1, 0], "found x from -1.0 to 1.0"),
        ([0, 1.5, 1, 0], "found y that are not whole numbers"),
        ([0, np.nan, 1, 0], "found y from nan to nan"),
        ([0, 0, 1, np.nan], "found t from nan to nan"),
        ([0, 0, 1, np.inf], "found t from 5000.0 to inf"),
        ([0, 0, 1, 1e300], "found t from 5000.0 to 1e"),
        ([0, 0, 2, 0], r"found polarities \[1.0, 2.0\], expected 0 and 1, or -1 and 1"),
        ([0, 0, -1, 0], None),
        ([0, 0, np.nan, 0], "found polarities"),
    ],
)
def test_events_that_cannot_be(tmp_path: Path, event: list[float], message: str | None) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([event, [1, 1, 1, 5.0]]))
    if message is None:
        assert len(read_events(path)) == 2
        return
    with pytest.raises(ValueError, match=message) as error:
        read_events(path)
    assert str(error.value).startswith(f"{path}: ")


def test_clock_of_nmnist_goes_on(tmp_path: Path) -> None:
    events = made(3, 34)
    events["t"] = [10, 20, 30]
    path = write_nmnist(tmp_path / "a.bin", events)
    content = path.read_bytes()
    path.write_bytes(content[:5] + bytes([0, 240, 0, 0, 0]) * 2 + content[5:])
    assert read_events(path)["t"].tolist() == [10, 20 + 2**14, 30 + 2**14]


AEDAT2 = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\r\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.bin",
            b"1234",
            "found 4 bytes, expected 5 for each event; expected a complete .bin recording",
        ),
        ("a.aedat", b"#!AER-DAT3.1\r\n", "begins with b'#!AER-DAT3.1', expected #!AER-DAT2.0"),
        ("a.aedat", b"#!AER-DAT2.0\r\n123", "expected a complete .aedat recording"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n", "expected a complete .aedat4 recording"),
        ("a.npy", b"", "expected a complete .npy recording"),
        ("a.bin", b"", "found no events"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\0\0\0\0", r"begins with b'#!AER-DAT4.0.*and a header"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\x08\0\0\0" + b"\xff" * 8, "complete .aedat4 recording"),
        ("a.aedat", AEDAT2 + bytes(8), "AEDAT 2 of a Davis346red, .* DVS128's: save it as AEDAT 4"),
        ("a.aedat", b"#!AER-DAT2.0\r\n" + b"\xff" * 8, "AEDAT 2 of a camera that is not named"),
        ("a.es", b"Event Stream", "found an Event Stream, .* event_stream, save its events with"),
        ("a.raw", b"% evt 2.1\n", "found % evt 2.1, expected EVT2 or EVT3: convert it"),
        ("a.raw", b"1234", "found no line that names the encoding, expected EVT2 or EVT3"),
        ("a.raw", b"% evt 3.0\n", "found no events"),
        ("a.raw", b"% evt 3.0", "found a header without its end; expected a complete .raw"),
        ("a.dat", b"% Version 2\n% Height ", "found a header without its end"),
        ("a.dat", b"1234", "complete .dat recording|found no events"),
        ("a.mat", b"1234", "complete .mat recording"),
        ("a.npy", npy_header((2**40, 4)), "complete .npy recording"),
        (
            "a.npy",
            npy_header((3, 5)) + bytes(120),
            r"an array \(3, 5\) of float64, expected \(N, 4",
        ),
        ("a.txt", b"", "expected a file of .bin, .aedat4, .aedat, .dat, .raw, .mat, .npy"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_events(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "number", "last", "largest"),
    [
        ("sample_nmnist.bin", 4325, 311_175, (33, 33)),
        ("sample.aedat4", 111_954, None, (319, 239)),
        ("sample_ncars.dat", 2009, 99_952, (77, 41)),
        ("evt2_sample.raw", 539_481, 1_367_888, (599, 475)),
        ("evt3_sample.raw", 219_596, 11_772_513, (1279, 719)),
        ("sample_stmnist.mat", 2346, 895_745, (9, 8)),
    ],
)
def test_real_files(name: str, number: int, last: int | None, largest: tuple[int, int]) -> None:
    folder = find_real("event_samples/sample.aedat4") / "event_samples"
    events = read_events(folder / name)
    assert len(events) == number
    assert last is None or events["t"][-1] == last
    assert (events["x"].max(), events["y"].max()) == largest
    assert set(events["p"].tolist()) == {False, True}


def test_real_evt3_is_its_decoded_array() -> None:
    folder = find_real("event_samples/evt3_sample.npy") / "event_samples"
    events, expected = read_events(folder / "evt3_sample.raw"), np.load(folder / "evt3_sample.npy")
    for name in ("x", "y", "t", "p"):
        assert np.array_equal(events[name], expected[name])


@pytest.mark.parametrize("name", ["sample_aedat_header.aedat", "faery_dvs.es", "faery_generic.es"])
def test_real_files_that_are_refused(name: str) -> None:
    path = find_real("event_samples/sample.aedat4") / "event_samples" / name
    with pytest.raises(ValueError, match=r"Davis346red, expected|an Event Stream") as error:
        read_events(path)
    assert str(error.value).startswith(f"{path}: ")
