"""Runs side by side, each in a process of its own."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import jobs as bench
from neurodyn.comparison.compare import run_comparison
from neurodyn.comparison.jobs import local as jobs
from tests.kill.harness import same

TINY = [
    "--config=digits",
    "--trainer.max_epochs=2",
    "--data.limit=60",
    "--data.validation=30",
    "--model.network.widths=[4]",
]


def children(parent):
    """The processes below a process, by their ids."""
    found, names = set(), Path("/proc").glob("[0-9]*/stat")
    parents = {}
    for name in names:
        try:
            parents[int(name.parent.name)] = int(name.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    new = {parent}
    while new:
        new = {child for child, above in parents.items() if above in new} - found
        found |= new
    return found


def ends(process, seconds=10.0):
    """Whether a process ends soon."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_a_killed_process_is_resumed_and_all_ends_as_with_one_job(tmp_path, monkeypatch, capfd):
    started = []

    class Killed(jobs.Job):
        """Dies after its first epoch, once."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            started.append(self.task.label)

        def hear(self):
            goes_on = super().hear()
            if self.row.done == 1 and started.count(self.task.label) == 1:
                self.process.kill()
            return goes_on

    monkeypatch.setattr(jobs, "Job", Killed)
    table = run_comparison(TINY, ["lif", "if"], 1, tmp_path / "two", jobs=2)
    monkeypatch.undo()
    assert sorted(started) == ["if seed 0"] * 2 + ["lif seed 0"] * 2
    said = capfd.readouterr().err
    assert "lif seed 0 was killed and goes on from its last checkpoint" in said
    assert "2 of 2 runs: " in said
    assert "| lif " in table
    run_comparison(TINY, ["lif", "if"], 1, tmp_path / "one", jobs=1)
    same(tmp_path / "one", tmp_path / "two")
    again = run_comparison(TINY, ["lif", "if"], 1, tmp_path / "two", jobs=2)
    assert again == table, "finished runs need no process"


def test_a_run_that_is_killed_twice_without_a_checkpoint_is_reported(tmp_path, monkeypatch):
    class Dead(jobs.Job):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.process.kill()

    monkeypatch.setattr(jobs, "Job", Dead)
    message = r"1 of 1 runs failed.*\nlif seed 0: was killed twice without a new checkpoint \(.*txt"
    with pytest.raises(ChildProcessError, match=message):
        run_comparison(TINY, ["lif"], 1, tmp_path, jobs=2)


@pytest.mark.slow
def test_an_interruption_stops_all_processes(tmp_path, monkeypatch):
    made = []

    class Interrupted(jobs.Job):
        def hear(self):
            made.append(self.process)
            if self.row.done:
                raise KeyboardInterrupt
            return super().hear()

    monkeypatch.setattr(jobs, "Job", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_comparison([*TINY, "--trainer.max_epochs=500"], ["lif", "if"], 1, tmp_path, jobs=2)
    assert made
    assert not any(process.is_alive() for process in made)


@pytest.mark.slow
def test_a_run_that_fails_is_named_with_its_log_and_the_others_go_on(tmp_path):
    missing = ["--config=mnist", f"--data.root={tmp_path}"]
    run_comparison(TINY, ["lif"], 1, tmp_path / "runs")
    with pytest.raises(ChildProcessError, match=r"2 of 2 runs failed") as error:
        run_comparison(missing, ["if"], 2, tmp_path / "runs", jobs=2)
    assert re.search("if seed [01], if seed [01]: FileNotFoundError: ", str(error.value))
    log = Path(re.search(r"\((\S+output.txt)\)", str(error.value))[1])
    assert "Traceback" in log.read_text()
    assert (tmp_path / "runs" / "table.md").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_parent_leaves_no_children_behind(tmp_path, how):
    command = [sys.executable, "-m", "neurodyn", "compare", *TINY, "--trainer.max_epochs=1000"]
    command += ["--neurons=lif", "--seeds=3", "--jobs=2", f"--out={tmp_path}"]
    # A process group of its own: the signal reaches the parent alone.
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, text=True)
    try:
        while len(list(tmp_path.rglob("last.ckpt"))) < 2:
            assert parent.poll() is None
            time.sleep(0.1)
        below = children(parent.pid)
        assert len(below) >= 3, "the fork server and two runs"
        parent.send_signal(how)
        parent.wait(timeout=30)
        assert all(ends(process) for process in below)
    finally:
        parent.kill()
    said = parent.stderr.read()
    assert "Traceback" not in said
    if how == signal.SIGINT:
        assert "neurodyn: interrupted; the same command goes on from here" in said
        assert parent.returncode == 128 + signal.SIGINT


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_runs_and_the_command_are_killed_and_end_as_with_one_job(tmp_path):
    bench.main(["--seeds=2", "--epochs=12", "--repeats=1", "--data.limit=400", f"--out={tmp_path}"])
    rows = list(json.loads((tmp_path / "jobs.json").read_text()).values())[1:]
    assert [row["equal"] for row in rows] == [None, True, True, True, True]
    assert [row["kills"] for row in rows[:3]] == [0, 0, 0]
    assert min(row["kills"] for row in rows[3:]) >= 2


def test_threads_of_all_jobs_fit_the_cores(monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 4)
    jobs.check_jobs(2, 2)
    jobs.check_jobs(8, 1)
    for given, message in (
        ((2, 3), "threads: 2 jobs of 3 threads need 6 cores, and this process has 4; expected at "),
        ((0, 1), "jobs: expected at least 1, got 0"),
        ((1, 0), "threads: expected at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            jobs.check_jobs(*given)


@pytest.mark.slow
def test_what_the_fork_server_imports_starts_no_threads_and_looks_for_no_gpu():
    code = """
import threading, torch
def found(*_): raise AssertionError("looked for a GPU")
for name in ("is_available", "device_count", "_lazy_init"):
    setattr(torch.cuda, name, found)
import neurodyn.comparison.jobs.child
assert threading.active_count() == 1, threading.enumerate()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
