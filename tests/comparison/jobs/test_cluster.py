"""Runs as jobs of a cluster: submitit's local one, and a Slurm made of four short scripts."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from neurodyn.comparison.compare import run_comparison
from neurodyn.comparison.jobs.cluster import Cluster, ClusterRun
from neurodyn.comparison.jobs.task import Task
from tests.comparison.jobs.test_local import TINY
from tests.kill.harness import same

submitit = pytest.importorskip("submitit")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="submitit is for Linux and macOS")

SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
folder = Path(__file__).parent
text = Path(sys.argv[1]).read_text()
(folder / "submitted.sh").write_text(text)
number = len(list(folder.glob("job-*"))) + 1
(folder / f"job-{{number}}").mkdir()
array = re.search(r"--array=0-(\\d+)", text)
for task in range(int(array[1]) + 1) if array else [None]:
    name = str(number) if task is None else f"{{number}}_{{task}}"
    ids = {{"SLURM_JOB_ID": str(number)}}
    if array:
        ids |= {{"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(task)}}
    state = folder / f"job-{{number}}" / name
    state.write_text("RUNNING")
    # A requeued job starts again.
    loop = f'while true; do bash {{sys.argv[1]}}; [ "$(cat {{state}})" = REQUEUED ] || break; '
    loop += f'echo RUNNING > {{state}}; done; echo COMPLETED > {{state}}'
    subprocess.Popen(["bash", "-c", loop], env={{**os.environ, **ids}}, start_new_session=True,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"Submitted batch job {{number}}")
"""

SRUN = """#!{python}
import os, sys
name = os.environ.get("SLURM_ARRAY_TASK_ID")
job = os.environ["SLURM_JOB_ID"]
words = [w.replace("%A", job).replace("%a", name or "").replace("%j", job).replace("%t", "0")
         for w in sys.argv[1:]]
command = words[words.index("--error") + 2:]
for option, number in (("--output", 1), ("--error", 2)):
    path = words[words.index(option) + 1]
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
os.environ.update(SLURM_NTASKS="1", SLURM_JOB_NUM_NODES="1", SLURM_NODEID="0", SLURM_PROCID="0",
                  SLURM_LOCALID="0", SLURM_JOB_NAME="neurodyn")
os.execvp(command[0], command)
"""

SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
for file in $(dirname $0)/job-*/*; do echo "$(basename $file)|$(cat $file)|here"; done
"""

SCONTROL = """#!/bin/bash
echo REQUEUED > $(dirname $0)/job-${{2%_*}}/$2
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The folder of a Slurm that starts all jobs at once."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    scripts = {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scontrol": SCONTROL}
    for name, text in scripts.items():
        (folder / name).write_text(text.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


LONG = [*TINY, "--trainer.max_epochs=60"]


def processes(folder):
    """The ids of the processes in which jobs run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if "submitit.core._submit" in words and str(folder) in " ".join(words):
            found.append(int(path.parent.name))
    return found


def signal_once(folder, runs, number):
    """Send a signal to all jobs of a folder, as soon as all have a checkpoint."""

    def send():
        while len(list(folder.rglob("last.ckpt"))) < runs:
            time.sleep(0.05)
        for process in processes(folder):
            os.kill(process, number)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def straight(folder):
    """The same two runs without a cluster."""
    run_comparison(LONG, ["lif"], 2, folder, threads=1)
    return folder


@pytest.mark.slow
def test_preempted_jobs_of_slurm_are_requeued_and_end_as_without_a_cluster(tmp_path, slurm):
    out = tmp_path / "runs"
    sent = signal_once(out, 2, signal.SIGUSR2)
    options = {"partition": "gpu", "time": 60, "mem_gb": 4, "array_parallelism": 2}
    table = run_comparison(LONG, ["lif"], 2, out, cluster=Cluster("slurm", options))
    sent.join()
    assert "| lif " in table
    text = (slurm / "submitted.sh").read_text()
    for line in ("partition=gpu", "time=60", "mem=4GB", "array=0-1%2", "cpus-per-task=1"):
        assert f"#SBATCH --{line}\n" in text
    results = [json.loads(path.read_text()) for path in out.rglob("result.json")]
    assert [len(result["starts"]) for result in results] == [2, 2], "both were requeued"
    same(straight(tmp_path / "straight"), out)
    assert run_comparison(LONG, ["lif"], 2, out, cluster=Cluster("slurm")) == table
    assert len(list(slurm.glob("job-*"))) == 1, "finished runs need no job"


@pytest.mark.slow
def test_killed_jobs_are_submitted_again_and_those_that_fail_are_named(tmp_path, capfd):
    out = tmp_path / "runs"
    sent = signal_once(out, 2, signal.SIGKILL)
    run_comparison(LONG, ["lif"], 2, out, cluster=Cluster("local"))
    sent.join()
    said = capfd.readouterr().err
    assert said.count("was killed and goes on from its last checkpoint") == 2
    assert "2 of 2 runs: lif seed " in said
    same(straight(tmp_path / "straight"), out)
    missing = ["--config=mnist", f"--data.root={tmp_path}"]
    message = r"1 of 1 runs failed.*\nif seed 0: FileNotFoundError: .*\.err\)"
    with pytest.raises(ChildProcessError, match=message):
        run_comparison(missing, ["if"], 1, out, cluster=Cluster("local"))


@pytest.mark.slow
def test_a_job_that_is_alive_is_waited_for(tmp_path, slurm):
    out = tmp_path / "runs"

    def interrupt():
        while not list(out.rglob("last.ckpt")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_comparison(LONG, ["lif"], 1, out, cluster=Cluster("slurm"))
    assert processes(out), "the job goes on"
    run_comparison(LONG, ["lif"], 1, out, cluster=Cluster("slurm"))
    assert len(list(slurm.glob("job-*"))) == 1
    (result,) = out.rglob("result.json")
    assert len(json.loads(result.read_text())["starts"]) == 1


def test_a_job_is_submitted_again_as_it_is(tmp_path):
    task = Task(tuple(TINY), "lif", 0, tmp_path, threads=1)
    again = ClusterRun(task, 2).checkpoint()
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function.task == task


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("slrum", {}, "cluster: AutoExecutor doesn't know any executor named slrum"),
        ("local", {"partition": "gpu"}, "cluster: Unknown argument 'partition' for executor"),
        ("local", {"mem_gb": "much"}, 'cluster: Parameter "mem_gb" expected type'),
    ],
)
def test_options_that_a_cluster_does_not_have(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        Cluster(name, options).executor(tmp_path, 1)
