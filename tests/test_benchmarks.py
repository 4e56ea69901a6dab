"""The benchmarks run, on the smallest work there is, and measure what they say."""

import argparse
import json
import os
import shutil
import threading
import time
from functools import partial

import pytest
import torch

from benchmarks import (
    _jaxley,
    _machine,
    _neuron,
    _ours,
    cells,
    epochs,
    events,
    neurons,
    norm,
    recurrent,
    resnet19,
)
from benchmarks._measure import Clock, kept_bytes, settle, take_turns
from benchmarks._results import Results
from neurodyn.biophysics import Pospischil
from neurodyn.neurons import LIF
from neurodyn.neurons.base import Neuron
from neurodyn.surrogate import ArcTan

CPU = torch.device("cpu")
FOLDER = epochs.__file__.rpartition("/")[0]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setattr(neurons, "CASES", [(3, 2, 4), (4, 2, 4)])
    return ["--rounds=1", "--no-peers", f"--out={tmp_path}"]


def rows_of(path):
    (case,) = json.loads(path.read_text())["cases"].values()
    return {row["name"]: row for row in case["rows"]}


@pytest.mark.parametrize(
    ("dtype", "name", "kept", "bound"),
    [("float32", "neurons", 4, 1e-6), ("bfloat16", "neurons-cpu-bfloat16", 2, 1e-2)],
)
def test_neurons(tiny, tmp_path, dtype, name, kept, bound):
    neurons.main([*tiny, "--cases=0", f"--dtype={dtype}"])
    found = rows_of(tmp_path / f"{name}.json")
    # The input as it came; at this size its few parameters are another fraction of a byte.
    assert kept < found["neurodyn LIF"]["kept"] < kept + 1
    assert 0 < found["neurodyn LNM, degree 3"]["error"] < bound
    assert 0 < found["plain loop, LNM"]["error"] < bound
    assert len(found["floor: two copies"]["forward"]) == 1
    assert "| neurodyn LIF |" in (tmp_path / f"{name}.md").read_text()


def test_neurons_with_the_allocator_of_a_user(tiny, tmp_path):
    neurons.main([*tiny, "--cases=0", "--threads=1", "--unpinned"])
    text = (tmp_path / "neurons-unpinned.md").read_text()
    assert "| neurodyn LIF | float32, per layer, 1 threads, allocator as it is |" in text


@pytest.mark.parametrize(("option", "pinned"), [("--rounds=1", True), ("--unpinned", False)])
def test_a_process_starts_again_with_the_allocator_asked_for(monkeypatch, option, pinned):
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "execv", lambda *_: None)
    monkeypatch.setattr(_machine.sys, "argv", ["neurons", option])
    _machine.pin("benchmarks.neurons")
    assert set(_machine.PINNED).issubset(os.environ) == pinned
    os.rmdir(os.environ[_machine.STARTED])


def test_all_steps_at_once(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(neurons, "LINEAR_CASES", [(40, 1, 3)])
    neurons.main([*tiny, "--parallel"])
    found = rows_of(tmp_path / "neurons-parallel.json")
    for name in ("neurodyn Modal, 2 modes", "all steps at once, Modal, 2 modes"):
        assert 0 < found[name]["error"] < 1e-5


def test_resumed_results_keep_what_they_have(tiny, tmp_path):
    neurons.main([*tiny, "--cases=0"])
    before = json.loads((tmp_path / "neurons.json").read_text())["cases"]
    neurons.main([*tiny, "--resume"])
    after = json.loads((tmp_path / "neurons.json").read_text())["cases"]
    assert list(after) == ["T=3, step 2 x 4", "T=4, step 2 x 4"]
    assert after["T=3, step 2 x 4"] == before["T=3, step 2 x 4"]
    with pytest.raises(SystemExit, match="of another machine or of other settings"):
        neurons.main([*tiny, "--resume", "--rounds=2"])


def test_results_that_are_not_resumed_start_again(tmp_path):
    for title in "ab":
        options = argparse.Namespace(out=tmp_path, resume=False)
        Results("x", [], {}, [], lambda title, case: title, options).add(title, 1)
    assert list(json.loads((tmp_path / "x.json").read_text())["cases"]) == ["b"]


class Otherwise(Neuron):
    """Its kernel fires where the input is negative, and its loop does not."""

    def step(self, x, u):
        if self.backend == "auto":
            x = torch.where(x < 0, x + 10, x)
        return self.fire(u + x)


def test_other_spikes_are_counted_and_their_gradients_left_out():
    error, differing = neurons.against_float64(Otherwise, (4, 2, 300), CPU, torch.float32)
    # One in 2**4 neurons has four inputs that are not negative.
    assert differing == pytest.approx(15 / 16, abs=0.03)
    assert error < 1e-6
    lif = partial(LIF, surrogate=ArcTan())
    error, differing = neurons.against_float64(lif, (4, 2, 300), CPU, torch.float32)
    assert differing == 0
    assert error < 1e-6


def test_all_contenders_of_ours_are_compared_with_their_own_loop():
    for contender in _ours.ours((8,)):
        error, other = neurons.against_float64(contender.make, (12, 2, 8), CPU, torch.float32)
        assert error < 1e-5, contender.name
        assert other < 0.1, contender.name


def test_a_peer_that_fails_is_named():
    def broken():
        raise RuntimeError("no kernel")

    contenders = [neurons.Contender("bad", broken), neurons.Contender("long", broken, longest=1)]
    rows, failed = neurons.measure((2, 2, 3), contenders, 1, CPU, torch.float32)
    assert [row.name for row in rows] == ["floor: two copies"]
    assert failed == ["bad: RuntimeError: no kernel", "long: would unroll 2 steps"]


def test_resnet19(monkeypatch, tmp_path):
    small = {"neurodyn LIF": LIF, "neurodyn LNM": partial(LIF, backend="reference")}
    monkeypatch.setattr(resnet19, "neurons", lambda *_: (small, []))
    settings = ["--batch=2", "--width=0.02", "--steps=1", "--dtype=bfloat16"]
    resnet19.main([*settings, f"--out={tmp_path}"])
    found = rows_of(tmp_path / "resnet19-cpu.json")
    # The loop keeps every membrane.
    assert 0 < found["neurodyn LIF"]["kept"] < found["neurodyn LNM"]["kept"]
    assert found["neurodyn LIF"]["peak"] is None
    text = (tmp_path / "resnet19-cpu.md").read_text()
    assert "### batch 2, bfloat16, width 0.02" in text


def test_seconds_of_an_epoch():
    row = {"name": "neurodyn LNM", "first": 0.0, "times": [0.5], "kept": 0, "peak": 2**30}
    text = resnet19.table("title", {"batch": 7000, "rows": [row], "notes": []})
    # 7 batches of half a second, 300 times.
    assert "| 500.0 | 14000.0 | 1.00 | 1.00 | 0.00 | 0.0 | 3.5 | 0.3 |" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("benchmark_", [neurons, resnet19])
def test_without_a_gpu_one_sentence_says_so(benchmark_):
    with pytest.raises(SystemExit, match=r"needs an NVIDIA GPU, .* sees none here"):
        benchmark_.main(["--device=cuda"])


def test_a_process_starts_again_with_empty_caches_of_its_own(monkeypatch):
    started, left = [], []
    monkeypatch.setattr(os, "environ", {"NEURODYN_CACHE": "/warm"})
    monkeypatch.setattr(os, "execv", lambda path, arguments: started.append(arguments))
    monkeypatch.setattr(_machine.atexit, "register", lambda *call, **_: left.append(call))
    _machine.pin("benchmarks.neurons")
    assert started[0][1:3] == ["-m", "benchmarks.neurons"]
    caches = [os.environ[name] for name in _machine.CACHES]
    assert len({"/warm", *caches}) == 4
    assert not any(os.path.exists(cache) for cache in caches)
    _machine.pin("benchmarks.neurons")
    assert len(started) == 1
    ((remove, folder),) = left
    assert all(cache.startswith(folder) for cache in caches)
    remove(folder)
    assert not os.path.exists(folder)


def test_the_clock_tells_parts_apart():
    clock = Clock(CPU)
    clock.start()
    clock.mark()
    clock.mark()
    assert len(clock.seconds()) == 2
    clock.start()
    clock.mark()
    assert len(clock.seconds()) == 1


def test_kept_bytes_count_a_storage_once_and_weights_not():
    x, w = torch.ones(10, requires_grad=True), torch.ones(10, requires_grad=True)
    assert kept_bytes(lambda: x * w) == 80
    assert kept_bytes(lambda: x * x) == 40
    assert kept_bytes(lambda: x * w, [w]) == 40


@pytest.mark.parametrize("name", ["RLIF", "CS-GRU"])
def test_recurrent(monkeypatch, tmp_path, name):
    kind = recurrent.CASES[name][0]
    monkeypatch.setattr(recurrent, "CASES", {name: (kind, 3, 2, 4)})
    recurrent.main(["--rounds=2", f"--out={tmp_path}"])
    found = json.loads((tmp_path / "recurrent.json").read_text())["cases"][name]
    assert {len(took) for took in found.values()} == {2}
    assert len(found) == 3
    table = (tmp_path / "recurrent.md").read_text()
    assert f"| {name} | (3, 2, 4) | its matrix products |" in table
    assert "| 1.00 |" in table


def test_norm_runs():
    found = norm.measure((2, 2, 3, 4, 4), 1)
    assert found["in one kernel"][1] <= found["one after the other"][1]


def test_every_benchmark_is_on_the_page():
    with open(f"{FOLDER}/README.md") as file:
        page = file.read()
    names = [n[:-3] for n in os.listdir(FOLDER) if n.endswith(".py") and not n.startswith("_")]
    assert all(f"neurodyn bench {name}" in page for name in names)


def test_networks_in_continuous_time(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    options = ["--networks=2", "--samples=1", "--steps", "0.1", "0.01"]
    folders = [f"--out={tmp_path}", f"--pictures={tmp_path / 'pictures'}"]
    monkeypatch.setattr("sys.argv", ["events", *options, *folders])
    events.main()
    found = json.loads((tmp_path / "events.json").read_text())
    exact = [row for name, row in found["conversions"].items() if "leaking" not in name]
    assert [row["error"] for row in exact] == [0.0] * 4
    assert found["conversions"]["many spikes to one, LIF with a leaking reset"]["error"] < 1e-8
    assert found["control"]["wrong"] == found["control"]["networks"] > 0
    coarse, fine = found["clock"]["rows"]
    assert fine["mean"] < coarse["mean"] / 3
    assert found["large"]["spikes"] > 100_000
    assert "| 0.01 |" in (tmp_path / "events.md").read_text()
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4


def test_measuring_waits_for_busy_threads():
    until = time.monotonic() + 0.5

    def busy():
        while time.monotonic() < until:
            pass

    thread = threading.Thread(target=busy)
    thread.start()
    settle(0.05)
    assert time.monotonic() >= until
    thread.join()


def test_calls_take_turns_behind_one_that_warms_up(monkeypatch):
    monkeypatch.setattr("benchmarks._measure.settle", lambda: None)
    made = []
    calls = {name: lambda name=name: made.append(name) for name in "ab"}

    def clock():  # The first call of each takes long.
        return sum(1000 if k < 2 else 10 for k in range(len(made)))

    assert take_turns(calls, 1, clock) == {"a": 10, "b": 10}
    assert made == list("abab")


def test_biophysical_cells(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks._neuron.installed", lambda: False)
    monkeypatch.setattr("benchmarks._jaxley.installed", lambda: False)
    options = ["--traces=2", "--rounds=1", "--steps", "0.1"]
    monkeypatch.setattr("sys.argv", ["cells", *options, f"--out={tmp_path}"])
    cells.main()
    found = json.loads((tmp_path / "cells.json").read_text())
    assert found["speed"][0]["milliseconds"] > 0
    text = (tmp_path / "cells.md").read_text()
    assert "NEURON is not installed" in text
    assert "Jaxley is not installed" in text


def test_cells_beside_neuron():
    pytest.importorskip("neuron", reason="NEURON is not installed")
    if shutil.which("gcc") is None:
        pytest.skip("NEURON's mechanisms are compiled by gcc, which is not installed")
    rows = cells.accuracy(_neuron.load(), (0.0125,))
    assert all(row["spikes"][0] == row["spikes"][2] for row in rows)
    assert max(row["error"] for row in rows) < 0.1
    assert max(row["error in float32"] for row in rows) < 0.1
    assert max(row["rms"] for row in rows) < 0.5


def test_cells_beside_jaxley(monkeypatch):
    pytest.importorskip("jaxley", reason="Jaxley is not installed")
    _, times = cells.ours(0.0125)
    for ours, theirs in zip(times, cells.jaxley_times(0.0125), strict=True):
        assert len(ours) == len(theirs)
        assert all(abs(ours - theirs) < 0.6)  # The error of Jaxley's step is of the first order.
    current = torch.zeros(4000, 1, dtype=torch.float64)
    current[400:] = 0.03
    cell = Pospischil(dt=0.025, learn=tuple(_jaxley.TRAINED)).double()
    cell(current).mean().backward()
    theirs = _jaxley.compile_both(_jaxley.load(), current.numpy(), 0.025)["gradient"]()
    theirs = {name: float(value[0]) for each in theirs for name, value in each.items()}
    stored = dict(cell.named_parameters())
    for name, other in _jaxley.TRAINED.items():
        # A quantity above 0 is stored as its logarithm.
        gradient = (
            stored[name].grad
            if name in stored
            else stored[f"raw_{name}"].grad / getattr(cell, name).detach()
        )
        expected = theirs[other] * (1e-3 if name.startswith("g") else 1)  # S/cm2
        assert gradient.item() == pytest.approx(expected, rel=5e-3), name
    monkeypatch.setattr(cells, "END", 20.0)
    rows = cells.beside_jaxley(0.1, 1, time.process_time)
    assert [row["who"] for row in rows] == ["neurodyn", "Jaxley"] * 4
