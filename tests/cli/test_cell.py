"""`neurodyn fit-cell`, on recordings that are made here."""

import json

import numpy as np
import pytest

from neurodyn.biophysics import Fitted
from neurodyn.cli import main

DT, SAMPLES = 0.1, 15_000
KINDS = {"abf": "pyabf", "nwb": "h5py", "ibw": "igor2"}

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def table():
    """Time [ms], current [nA] and voltage [mV] of a leaky cell in noise that fires at -45 mV."""
    rng = np.random.default_rng(0)
    current = 0.12 + 0.15 * np.repeat(rng.standard_normal(SAMPLES // 20), 20)
    voltage, v, held = np.empty(SAMPLES), -65.0, 0
    for t, now in enumerate(current):
        v += DT / 15 * (-65.0 - v + 200 * now)
        v, held = (-60.0, held - 1) if held else (v, 0)
        held = 40 if v > -45 else held
        voltage[t] = 20.0 if held == 40 else v
    return np.stack([np.arange(SAMPLES) * DT, current, voltage], 1)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder to run in."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(home, capsys):
    """Runs the command; gives its status, output and errors."""

    def run(*arguments):
        status = main(["fit-cell", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def saved(path, table):
    np.savetxt(path, table, delimiter=",", header="t,I,V", comments="")
    return path


def test_a_folder_with_the_cell_its_scores_and_a_page(run, table, home):
    file = saved(home / "cell.csv", table)
    status, out, err = run(file, "--degree", 2, "--currents", 20, "--thresholds", 30)
    assert (status, err.count("neurodyn:")) == (0, 0), err
    folder = home / "runs" / "cells" / "cell"
    assert out.splitlines()[-1] == str((folder / "index.html").relative_to(home))
    assert "Fitted LNM: rest" in out
    assert "Fitted LIF: rest" in out
    assert out.count(repr(Fitted.load(folder / "cell.json").neuron())) == 1
    cell = Fitted.load(folder / "cell.json")
    assert (cell.model.neuron.degree, cell.model.currents) == (2, (20.0,))
    # What was put in.
    assert cell.model.threshold == pytest.approx(-45, abs=1.0)
    assert [*json.loads((folder / "scores.json").read_text())] == ["LNM", "LIF"]
    assert [path.name for path in folder.parent.iterdir()] == ["cell"]


def test_the_timestep_of_the_layer_is_an_option(run, table, home):
    given = saved(home / "cell.csv", table), "--neuron", "lif", "--currents", 20, "--thresholds", 30
    status, out, err = run(*given, "--timestep", 2)
    assert status == 0, err
    cell = Fitted.load(home / "runs" / "cells" / "cell" / "cell.json")
    assert f"\n{cell.neuron(dt=2.0)!r}\n" in out
    status, out, err = run(*given, "--timestep", 0)
    assert (status, "no layer at this timestep: dt: expected at least 0.1, got 0" in out) == (
        0,
        True,
    )


BAD = {
    "volts": (lambda t: t * [1, 1, 1e-3], "voltage: expected millivolts, got at most 0.0"),
    "picoamperes": (lambda t: t * [1, 1e3, 1], "current: expected nanoamperes, got up to"),
    "amperes": (lambda t: t * [1, 1e-9, 1], "current: expected nanoamperes, got at most"),
    "a gap": (lambda t: np.where(np.arange(len(t))[:, None] == 50, [5.0, np.nan, -60], t),
              "current: expected numbers without gaps, got 1 NaN or infinite samples in cell, "
              "the first at 5 ms"),
    "no spikes": (lambda t: np.minimum(t, [np.inf, np.inf, -50]),
                  "train: expected at least 20 spikes, got 0 that cross 0 mV (-50.0 mV"),
    "two columns": (lambda t: t[:, :2], "expected three columns, time [ms], current [nA]"),
    "uneven times": (lambda t: np.delete(t, range(100, 300), 0), "expected times at an even"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named_and_nothing_is_left(run, table, home, case):
    spoil, message = BAD[case]
    file = saved(home / "cell.csv", spoil(table))
    status, _, err = run(file)
    assert status == 2
    assert err.splitlines()[-1].startswith("neurodyn: ")
    assert message in err
    if case != "no spikes":
        assert str(file) in err
    assert [path.name for path in home.iterdir()] == ["cell.csv"]


def test_options_of_the_fit_and_of_the_spikes_arrive(run, table, home):
    file = saved(home / "cell.csv", table)
    lags = run(file, "--lags", -1)
    assert "lags: expected" in lags[-1]
    refractory = run(file, "--refractory", -1)
    assert "refractory: expected" in refractory[-1]
    threshold = run(file, "--threshold", 25)
    assert "got 0 that cross 25 mV" in threshold[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"ABF2" + bytes(range(200)), b"not a recording"])
def test_broken_files_are_named(run, home, kind, content):
    pytest.importorskip(KINDS[kind])
    for name in ("x_ch2", "x_ch3"):
        (home / f"{name}.{kind}").write_bytes(content)
    status, out, err = run(home / f"x_ch2.{kind}", "--out", "cell")
    assert (status, out) == (2, "")
    assert f"x_ch2.{kind}: cannot be read as .{kind}; is it whole?" in err
    assert not (home / "cell").exists()


def nwb(path, table, *, rate=True, samples=None):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for group, kind, values, factor in (
            ("acquisition/ic_1", "CurrentClampSeries", table[:, 2], 1e-3),
            ("stimulus/presentation/ics_1", "CurrentClampStimulusSeries", table[:samples, 1], 1e-9),
        ):
            series = file.create_group(group)
            series.attrs["neurodata_type"] = kind
            series["data"] = values
            series["data"].attrs["conversion"] = factor
            start = series.create_dataset("starting_time", data=0.0)
            if rate:
                start.attrs["rate"] = 1e3 / DT
    return path


def test_a_file_without_its_sampling_rate(run, table, home):
    file = nwb(home / "cell.nwb", table, rate=False)
    status, _, err = run(file)
    assert status == 2
    assert f"{file}: it does not say its sampling rate; give dt" in err
    assert [path.name for path in home.iterdir()] == ["cell.nwb"]
    status, _, err = run(file, "--dt", DT, "--neuron", "lif", "--currents", "--thresholds")
    assert status == 0, err
    assert [*json.loads((home / "runs/cells/cell/scores.json").read_text())] == ["LIF"]


def test_current_and_voltage_of_other_lengths(run, table, home):
    file = nwb(home / "cell.nwb", table, samples=700)
    status, _, err = run(file)
    assert status == 2
    assert f"{file}: expected as many samples of current as of voltage" in err
    assert f"got 700 and {SAMPLES}" in err


def test_arguments_are_checked_before_anything_is_read(run, home):
    for arguments, message in (
        (["none.abf"], "none.abf: no such file"),
        (["none.abf", "--neuron", "lnn"], "neuron: unknown name 'lnn'. Did you mean 'lnm'?"),
        (["none.abf", "--neuron", "lif", "--degree", 2], "degree: expected with --neuron lnm"),
        (["none.abf", "more.abf"], "fit-cell: expected one file"),
    ):
        status, _, err = run(*arguments)
        assert status == 2
        assert message in err
    (home / "cell").mkdir()
    (home / "cell" / "thesis.tex").touch()
    status, _, err = run("none.abf", "--out", "cell")
    assert status == 2
    assert "out: cell holds something else: thesis.tex" in err
