"""A comparison as a whole: which runs it trains, what it says of them, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neurodyn.comparison.compare import run_comparison
from neurodyn.comparison.jobs.cluster import Cluster
from neurodyn.data import Digits
from tests.comparison.test_run import TINY, files

HELD = """
import sys, time
from pathlib import Path
from filelock import FileLock
folder = Path(sys.argv[1])
with FileLock(folder / "lif/seed-0/run.lock"):
    print("held", flush=True)
    while not (folder / "if/seed-0/result.json").exists():
        time.sleep(0.1)
"""


def test_a_run_that_another_process_is_at_comes_last(tmp_path):
    (tmp_path / "lif" / "seed-0").mkdir(parents=True)
    command = [sys.executable, "-c", HELD, str(tmp_path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        table = run_comparison([*TINY, "--trainer.max_epochs=1"], ["lif", "if"], 1, tmp_path)
        assert other.wait() == 0
    finally:
        other.kill()
    assert len(table.partition("\n\n")[0].splitlines()) == 4
    first, then = (tmp_path / name / "seed-0" / "result.json" for name in ("if", "lif"))
    assert first.stat().st_mtime_ns < then.stat().st_mtime_ns


def test_a_run_that_diverges_is_named_and_the_others_go_on(tmp_path):
    wild = "wild@lnm:clip=none:reset=none:start=[0,0,0,1e30]"
    table = run_comparison(TINY, [wild], 1, tmp_path)
    assert table.startswith("wild, seed 0, diverged: Training stopped in epoch")
    assert (tmp_path / "table.md").read_text() == f"{table}\n"
    table = run_comparison(TINY, [wild, "lif"], 1, tmp_path)
    assert re.search(r"^\| lif +\| 1 ", table, re.MULTILINE)
    assert "\n\nwild, seed 0, diverged: Training stopped in epoch" in table
    assert not (tmp_path / "wild" / "seed-0" / "result.json").exists()
    assert len(json.loads((tmp_path / "wild/seed-0/starts.json").read_text())) == 1


def test_a_single_run_by_its_name(tmp_path):
    neurons = ["lif", "lnm:degree=2"]
    for name in ("lnm:degree=2/3", "lnm+degree=2/seed-3"):
        table = run_comparison(TINY, neurons, 2, tmp_path, only=name)
        assert len(table.partition("\n\n")[0].splitlines()) == 3
    assert [path.parent.name for path in tmp_path.rglob("result.json")] == ["seed-3"]
    for name, message in (
        ("lif", "only: expected a neuron and a seed, such as lif/3, got 'lif'"),
        ("lfi/0", "only: unknown name 'lfi'. Did you mean 'lif'"),
    ):
        with pytest.raises(ValueError, match=message):
            run_comparison(TINY, neurons, 2, tmp_path, only=name)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="seeds: expected at least 1"):
        run_comparison(TINY, ["lif"], 0, tmp_path)
    with pytest.raises(ValueError, match="neurons: expected different ones"):
        run_comparison(TINY, ["LIF", "lif"], 1, tmp_path)
    with pytest.raises(ValueError, match="neurons: expected at least one"):
        run_comparison(TINY, [], 1, tmp_path)
    with pytest.raises(ValueError, match="jobs: a cluster runs as many jobs as it likes"):
        run_comparison(TINY, ["lif"], 1, tmp_path, jobs=2, cluster=Cluster("local"))
    two = [*TINY, "--trainer.devices=2", "--trainer.accelerator=cpu"]
    with pytest.raises(ValueError, match="jobs: the processes of a run on several devices start"):
        run_comparison(two, ["lif"], 1, tmp_path, jobs=2)
    with pytest.raises(ValueError, match="--seed_everything: a comparison sets this itself"):
        run_comparison([*TINY, "--seed_everything=7"], ["lif"], 1, tmp_path)
    with pytest.raises(ValueError, match=r"data\.validation: a comparison selects"):
        run_comparison([*TINY, "--data.validation=0"], ["lif"], 1, tmp_path)
    with pytest.raises(ValueError, match="Did you mean 'degree'"):
        run_comparison(TINY, ["lif", "lnm:degre=2"], 1, tmp_path)
    assert not files(tmp_path), "a mistake in the last contender shows before anything runs"


def test_only_an_error_is_said_of_a_comparison_that_cannot_start(capfd, caplog):
    with pytest.raises(ValueError, match="Did you mean 'degree'"):
        run_comparison(TINY, ["lif", "lnm:degre=2"], 1, Path())
    assert capfd.readouterr().err == "" == caplog.text


def test_a_failed_start_leaves_the_folder_free(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no such data")

    monkeypatch.setattr(Digits, "read", fails)
    with pytest.raises(OSError, match="no such data"):
        run_comparison([*TINY, "--model.optim.lr=0.5"], ["lif"], 1, tmp_path)
    monkeypatch.undo()
    run_comparison(TINY, ["lif"], 1, tmp_path)
    result = json.loads((tmp_path / "lif" / "seed-0" / "result.json").read_text())
    assert len(result["starts"]) == 1, "the failed one is no part of it"
