"""Runs as jobs of a cluster, through submitit."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurodyn.comparison.folder import finished_runs, is_finished, write_json
from neurodyn.comparison.jobs.attempts import STUCK, Attempts
from neurodyn.comparison.jobs.failures import Failure
from neurodyn.comparison.jobs.task import Task
from neurodyn.comparison.progress import Log, Row
from neurodyn.comparison.tables import write_report
from neurodyn.errors import require
from neurodyn.files import read_json
from neurodyn.training.memory import keep_freed_memory

ALIVE = ("READY", "PENDING", "RUNNING", "REQUEUED", "COMPLETING", "PREEMPTED", "SUSPENDED")
"""States of jobs that will go on."""

REQUEUES = 1000
"""A run that reached its time limit goes on in the queue, at most so many times."""

POLL = 0.5
"""Seconds between two looks at the folders of runs. The scheduler is asked less often."""

RAISED = re.compile(r"^[\w.]+(?:Error|Exception|Exit)\b.*$", re.MULTILINE)
"""The line of a traceback that says what was raised."""

NOTE = "cluster.json"
"""In the folder of a run: its job."""


@dataclass(frozen=True)
class Cluster:
    """Where runs are sent.

    Args:
        name: of submitit's executor: "slurm", or "local" for processes of this machine.
        options: of a job. `timeout_min`, `mem_gb`, `cpus_per_task`, `gpus_per_node`, `nodes`,
            `tasks_per_node` and `name` are the same for all executors; others are the executor's
            own, such as Slurm's `partition`, `account`, `time`, `qos`, `array_parallelism`.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def executor(self, folder: Path, threads: int) -> Any:
        """submitit's executor; an error for options that it does not have."""
        submitit = require("submitit", "cluster")
        requeues = {f"{self.name}_max_num_timeout": REQUEUES} if self.name != "debug" else {}
        try:
            made = submitit.AutoExecutor(folder, cluster=self.name, **requeues)
            shared = made._typed_parameters()
            given = {"name": f"neurodyn-{folder.parent.name}", "cpus_per_task": threads}
            given |= {"timeout_min": 7 * 24 * 60} if self.name == "local" else {}
            for option, value in self.options.items():
                given[option if option in shared else f"{self.name}_{option}"] = value
            made.update_parameters(**given)
        except (NameError, AssertionError, ValueError, RuntimeError) as error:
            raise ValueError(f"cluster: {str(error).partition(chr(10))[0]}") from error
        return made


class ClusterRun:
    """What a job does: a run, from its last checkpoint."""

    def __init__(self, task: Task, epochs: int) -> None:
        self.task, self.epochs = task, epochs

    def __call__(self) -> None:
        keep_freed_memory()
        row = Log([(self.task.label, self.epochs)]).rows[0]
        row.starts()
        self.task.work(row)
        row.ends()

    def checkpoint(self) -> Any:
        """What goes on after the job is preempted or reaches its time limit: the same."""
        return require("submitit", "cluster").helpers.DelayedSubmission(self)


def on_cluster(
    tasks: Sequence[Task], rows: Sequence[Row], cluster: Cluster, folder: Path
) -> list[Failure]:
    """Submit runs, and wait for them; returns those that failed.

    Jobs of an earlier call that are still queued or running are waited for, and not submitted
    again. The table and pictures of the folder are written whenever a run is finished.
    """
    executor = cluster.executor(folder.resolve() / "cluster", tasks[0].threads or 1 if tasks else 1)
    attempts = Attempts()
    jobs = _submitted(list(zip(tasks, rows, strict=True)), executor, cluster, attempts)
    try:
        return _gathered(jobs, executor, cluster, folder, attempts)
    except KeyboardInterrupt:
        rows[0].note("the jobs go on; the same command gathers their results")
        raise


Jobs = dict[Path, tuple[Task, Row, Any]]
"""The jobs of runs by the runs' folders."""


def _gathered(
    jobs: Jobs, executor: Any, cluster: Cluster, folder: Path, attempts: Attempts
) -> list[Failure]:
    """Wait for jobs; returns the runs that failed."""
    failed = []
    while jobs:
        time.sleep(POLL)
        for home, (task, row, job) in list(jobs.items()):
            if row.started is None and job.state.upper() == "RUNNING":
                row.starts()
            if is_finished(home):
                row.epoch(row.epochs, _score(home))
                row.ends()
            elif not job.done():
                continue
            elif is_finished(home):
                continue  # It was written between the two questions.
            elif (error := _error(job)) is None and attempts.again(home):
                row.ends("was killed and goes on from its last checkpoint")
                jobs |= _submitted([(task, row)], executor, cluster, attempts)
                continue
            else:
                error = error or STUCK
                row.ends(f"failed: {error}")
                failed.append(Failure(row.label, error, job.paths.stderr))
            del jobs[home]
            if finished_runs(folder):
                write_report(folder)
    return failed


def _submitted(
    runs: Sequence[tuple[Task, Row]], executor: Any, cluster: Cluster, attempts: Attempts
) -> Jobs:
    """The jobs of runs by the runs' folders: those that are alive, or new ones."""
    jobs: Jobs = {}
    new = []
    for task, row in runs:
        attempts.begin(task.home)
        job = _alive(task.home, cluster, executor)
        if job is None:
            new.append((task, row))
        else:
            jobs[task.home] = task, row, job
    if new:
        with executor.batch():
            made = [executor.submit(ClusterRun(task, row.epochs)) for task, row in new]
        for (task, row), job in zip(new, made, strict=True):
            jobs[task.home] = task, row, job
            write_json(task.home / NOTE, {"cluster": cluster.name, "job": job.job_id})
    return jobs


def _alive(home: Path, cluster: Cluster, executor: Any) -> Any | None:
    """The job of an earlier call that is still queued or running."""
    if not (home / NOTE).is_file():
        return None
    noted = read_json(home / NOTE)
    if noted["cluster"] != cluster.name:
        return None
    job = executor._executor.job_class(executor.folder, noted["job"])
    return job if job.state.upper() in ALIVE else None


def _error(job: Any) -> str | None:
    """The last line of a job's error; None if it was killed and said nothing."""
    error = job.exception()
    if type(error).__name__ == "UncompletedJobError":
        return None
    text = str(error)
    return (RAISED.findall(text) or text.splitlines())[-1]


def _score(home: Path) -> float | None:
    """The validation score of a finished run."""
    path = home / "result.json"
    score: float | None = read_json(path)["val_score"] if path.is_file() else None
    return score
