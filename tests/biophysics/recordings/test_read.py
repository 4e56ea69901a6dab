import tarfile
from pathlib import Path

import numpy as np
import pytest

from neurodyn.biophysics import Recording
from neurodyn.biophysics.recordings.read import doubts, starts
from neurodyn.biophysics.recordings.sweep import Sweep
from tests.biophysics.recordings.test_recording import TIME, spiking
from tests.data.files import find_real


def write_nwb(path, *, rate=10_000.0, length=None, pairs=2):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for k in range(1, pairs + 1):
            for group, name, kind, values, factor in (
                ("acquisition", "ic", "CurrentClampSeries", spiking(), 1e-3),
                ("stimulus/presentation", "ics", "CurrentClampStimulusSeries", 0.1 * k + 0 * TIME,
                 1e-9),
            ):  # fmt: skip
                series = file.create_group(f"{group}/{name}_{k}")
                series.attrs["neurodata_type"] = kind
                series["data"] = values[: length if name == "ics" else None]
                series["data"].attrs["conversion"] = factor
                start = series.create_dataset("starting_time", data=0.0)
                if rate:
                    start.attrs["rate"] = rate
    return path


def test_nwb(tmp_path):
    recording = Recording.read(write_nwb(tmp_path / "cell.nwb"))
    assert recording.sweeps == 2
    assert recording.dt == pytest.approx(0.1)
    np.testing.assert_allclose(recording.voltage[:, 1], spiking())
    np.testing.assert_allclose(recording.current[0], [0.1, 0.2])


@pytest.mark.parametrize(("interval", "known"), [(100.0, True), (250.0, True), (50.0, False)])
def test_sweeps_that_follow_one_another_on_the_clock_of_the_file(interval, known):
    sweeps = [Sweep("a", TIME, spiking(), 0.1, interval * k) for k in range(3)]
    assert starts(sweeps, 0.1) == ([0.0, interval, 2 * interval] if known else None)
    assert starts([*sweeps, Sweep("b", TIME, spiking(), 0.1)], 0.1) is None


def test_what_a_look_at_the_plots_would_call_into_question():
    step = np.where(TIME > 50, 0.5, 0.0)
    moved = Sweep("moved", step, spiking() + 20 * step, 0.1)
    assert doubts([moved, moved]) == []
    deaf = Sweep("deaf", 2 * step, spiking(), 0.1)
    assert doubts([moved, deaf]) == ["the voltage does not follow the current of deaf"]
    # Half as strong as the strongest is where one looks.
    assert doubts([moved, deaf._replace(current=0.2 * step)]) == []
    (said,) = doubts([moved._replace(voltage=moved.voltage + 40)])
    assert said.startswith("rests at -15.0 mV")


def test_nwb_without_a_rate(tmp_path):
    path = write_nwb(tmp_path / "cell.nwb", rate=None)
    with pytest.raises(ValueError, match=r"cell\.nwb: it does not say its sampling rate; give dt"):
        Recording.read(path)
    assert Recording.read(path, dt=0.2).dt == 0.2


def test_nwb_of_two_lengths(tmp_path):
    path = write_nwb(tmp_path / "cell.nwb", length=500)
    with pytest.raises(ValueError, match=r"cell\.nwb: .* got 500 and 1000"):
        Recording.read(path)


def test_text(tmp_path):
    table = np.stack([TIME, 0.1 + 0 * TIME, spiking()], 1)
    np.savetxt(tmp_path / "cell.csv", table, delimiter=",", header="t,I,V", comments="")
    recording = Recording.read(tmp_path / "cell.csv")
    assert recording.dt == pytest.approx(0.1)
    assert len(recording.spikes[0]) == 2
    np.savetxt(tmp_path / "two.txt", table[:, :2])
    with pytest.raises(ValueError, match=r"two\.txt: expected three columns"):
        Recording.read(tmp_path / "two.txt")


@pytest.mark.parametrize("kind", ["abf", "nwb", "ibw"])
def test_broken_files_are_named(kind, tmp_path):
    pytest.importorskip({"abf": "pyabf", "nwb": "h5py", "ibw": "igor2"}[kind])
    for name in ("x_ch2", "x_ch3"):
        (tmp_path / f"{name}.{kind}").write_bytes(b"ABF2" + bytes(range(200)))
    with pytest.raises(ValueError, match=rf"x_ch2\.{kind}: cannot be read as \.{kind}"):
        Recording.read(tmp_path / f"x_ch2.{kind}")


def test_unknown_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.abf: no such file"):
        Recording.read(tmp_path / "nothing.abf")
    (tmp_path / "x.mat").touch()
    with pytest.raises(ValueError, match=r"x\.mat: format: unknown name '\.mat'"):
        Recording.read(tmp_path / "x.mat")
    with pytest.raises(ValueError, match=r"expected \.ibw files, got none"):
        Recording.read(tmp_path)


@pytest.fixture(scope="module")
def ephys(tmp_path_factory):
    root = find_real("ephys/ephys.tar.xz")
    folder = tmp_path_factory.mktemp("ephys")
    wanted = ("B6_Ch", "File_axon_5", "_1007", "_1009")
    with tarfile.open(root / "ephys" / "ephys.tar.xz") as packed:
        for member in packed:
            if any(name in member.name for name in wanted):
                packed.extract(member, folder, filter="data")
    return Path(folder)


@pytest.mark.slow  # Unpacking takes seconds.
def test_real_recordings(ephys):
    pytest.importorskip("igor2")
    pytest.importorskip("pyabf")
    (gif,) = ephys.rglob("gif_pozzorini2015")
    volts = Recording.read(gif, protocol="Test")
    assert (volts.sweeps, volts.duration, len(volts.spikes[0])) == (1, 20_000.0, 224)
    millivolts = Recording.read(next(ephys.rglob("B6")))
    assert [len(times) for times in millivolts.spikes] == [26, 50, 68, 82, 89]
    assert millivolts.dt == pytest.approx(0.25)
    steps = Recording.read(next(ephys.rglob("File_axon_5.abf")))
    assert steps.sweeps == 9
    assert sum(map(len, steps.spikes)) == 7
    # Seconds of rest between the sweeps.
    np.testing.assert_allclose(steps.before[7], steps.spikes[6] - 5_000.0)
