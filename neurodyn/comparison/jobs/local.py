"""Runs side by side on one machine: a process for each, some of them at a time.

Nothing here imports PyTorch before runs are started: the command starts the fork server first, and
both import at the same time.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import types
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodyn.comparison.folder import is_finished
from neurodyn.comparison.jobs.attempts import STUCK, Attempts
from neurodyn.comparison.jobs.failures import Failure

if TYPE_CHECKING:
    from neurodyn.comparison.jobs.task import Task
    from neurodyn.comparison.progress import Row

CHILD = "neurodyn.comparison.jobs.child"
GRACE = 5.0
"""Seconds that a stopped process has to end by itself."""


def cores() -> int:
    """The cores that this process may use."""
    # Only Linux says which ones.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_jobs(jobs: int, threads: int) -> None:
    """An error if jobs and threads do not fit this machine.

    Threads of one process wait for each other all the time: those that have to share a core with
    others wait long. Processes with one thread each only take turns.
    """
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if threads > 1 and jobs * threads > cores():
        raise ValueError(
            f"threads: {jobs} job{'s' * (jobs > 1)} of {threads} threads need {jobs * threads} "
            f"cores, and this process has {cores()}; expected at most "
            f"{max(1, cores() // jobs)}"
        )


def warm_up(threads: int = 1) -> None:
    """Start the fork server, which imports what a run needs. Returns at once."""
    if _method(threads) == "forkserver":
        forkserver.set_forkserver_preload([CHILD])
        with _no_main():
            forkserver.ensure_running()


def _method(threads: int) -> str:
    """How processes are started.

    A fork has its imports already. PyTorch's threads do not survive one, so a run with several
    threads is started afresh, and so is all on systems whose libraries do not allow forks.
    """
    return "forkserver" if sys.platform == "linux" and threads == 1 else "spawn"


class Job:
    """The process of a run.

    Args:
        task: the run.
        row: its row of the display.
        slot: 0, 1, ...; different for runs that are trained at a time.
        gpus: the visible ones, as `CUDA_VISIBLE_DEVICES` names them.
    """

    def __init__(self, task: Task, row: Row, slot: int, gpus: Sequence[str]) -> None:
        from neurodyn.comparison.jobs import child

        self.task, self.row, self.slot = task, row, slot
        self.error: str | None = None
        """How it ended: "" if the run is finished, None if it said nothing."""
        environment = dict(os.environ)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
        context: Any = multiprocessing.get_context(_method(task.threads or 1))
        self.connection, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=child.work, args=(task, environment, theirs))
        with _no_main():
            self.process.start()
        theirs.close()
        row.starts()

    def hear(self) -> bool:
        """Take one message; returns whether the process goes on."""
        try:
            name, *words = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return False
        if name == "ends":
            self.error = words[0]
        else:
            getattr(self.row, name)(*words)
        return True

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self.task.home / "output.txt"


def side_by_side(tasks: Sequence[Task], rows: Sequence[Row], jobs: int) -> list[Failure]:
    """Train runs, `jobs` at a time; returns those that failed.

    A run whose process was killed goes on from its last checkpoint (`Attempts`).
    """
    gpus = _gpus()
    if rows and min(jobs, len(rows)) > max(cores(), len(gpus)):
        rows[0].note(f"{jobs} jobs share {cores()} core{'s' * (cores() > 1)}, and gain nothing")
    left = deque(zip(tasks, rows, strict=True))
    running: dict[Any, Job] = {}
    attempts = Attempts()
    failed: list[Failure] = []
    try:
        while left or running:
            while left and len(running) < jobs:
                slot = min({*range(jobs)} - {job.slot for job in running.values()})
                task, row = _next(left)
                attempts.begin(task.home)
                job = Job(task, row, slot, gpus)
                running[job.connection] = job
            for ready in connection.wait(list(running)):
                job = running[ready]
                if job.hear():
                    continue
                del running[ready]
                if job.error is None and not is_finished(job.task.home):
                    if attempts.again(job.task.home):
                        job.row.ends("was killed and goes on from its last checkpoint")
                        left.appendleft((job.task, job.row))
                        continue
                    job.error = STUCK
                job.row.ends(f"failed: {job.error}" if job.error else "")
                if job.error:
                    failed.append(Failure(job.row.label, job.error, job.log))
    finally:
        _stop([job.process for job in running.values()])
    return failed


def _next(left: deque[tuple[Task, Row]]) -> tuple[Task, Row]:
    """The first run that no other process is at, or else the first."""
    from filelock import FileLock, Timeout

    for i, (task, _) in enumerate(left):
        task.home.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(task.home / "run.lock", blocking=False):
                left.rotate(-i)
                found = left.popleft()
                left.rotate(i)
                return found
        except Timeout:
            continue
    return left.popleft()


def _stop(processes: Sequence[Any]) -> None:
    """End processes: a training ends after its step, or is killed."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE)
        process.kill()
        process.join()


def _gpus() -> list[str]:
    """The visible GPUs, by their names in `CUDA_VISIBLE_DEVICES`."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    return [str(i) for i in range(torch.cuda.device_count())]


@contextmanager
def _no_main() -> Iterator[None]:
    """Hide the main module: a new process would import the user's script again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
