"""A process that works on one run for the process that shows the comparison.

The fork server imports this module before it forks, so that a run starts at once. Nothing here may
start a thread or look for a GPU at import: neither survives a fork.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from neurodyn.comparison.jobs.task import Task
from neurodyn.training.memory import keep_freed_memory

EARLY = (
    *("neurodyn.data.public", "sklearn.datasets", "matplotlib.backends.backend_agg"),
    *(f"neurodyn.scan.cpu.{part}" for part in ("forward", "backward", "build", "threads")),
)
"""What most runs import when they need it. A fork has it already."""

for _module in EARLY:
    importlib.import_module(_module)

OUTPUT = "output.txt"
"""In the folder of a run: all that its process printed."""


class Told:
    """A `Watch` that tells another process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def epoch(self, done: int, score: float | None = None) -> None:
        self._tell("epoch", done, score)

    def note(self, text: str) -> None:
        self._tell("note", text)

    def waits(self) -> None:
        self._tell("waits")

    def ends(self, how: str = "") -> None:
        """The last that is told: "" for a finished run, or the error."""
        self._tell("ends", how)

    def _tell(self, *message: Any) -> None:
        self.connection.send(message)


def work(task: Task, environment: dict[str, str], connection: Connection) -> None:
    """Work on a run; what it prints goes to `output.txt` in its folder.

    Args:
        task: the run.
        environment: variables to set.
        connection: where progress and the end are told.
    """
    os.environ.update(environment)
    # A terminal interrupts all its processes at once. The parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    told = Told(connection)
    try:
        _print_to(task.home / OUTPUT)
        task.work(told)
    except Exception as error:
        traceback.print_exc()
        told.ends(f"{type(error).__name__}: {error}")
        sys.exit(1)
    told.ends()


def _end_with_parent() -> None:
    """End this process when its parent has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _print_to(path: Path) -> None:
    """Send standard output and errors to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
