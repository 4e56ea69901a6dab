"""Threads that run ranges of a kernel's tasks: those of PyTorch, or else a team of our own.

Callers from several threads share the team's queue of jobs, and a forked child starts a team of its
own; the usual thread pools allow one or the other.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import torch

from neurodyn.scan.cpu import openmp

SMALL = 1 << 15
"""Below this many element-steps, waking a thread costs more than it brings."""
RANGES_PER_THREAD = 4

_jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
_workers: list[threading.Thread] = []
_lock = threading.Lock()

Kernel = Callable[[int, int, Any], None]


class _Job:
    """A kernel call cut into ranges, which whoever is free takes in turn."""

    def __init__(self, kernel: Kernel, tasks: int, argument: Any, ranges: int) -> None:
        self.kernel, self.tasks, self.argument, self.ranges = kernel, tasks, argument, ranges
        self.turn = itertools.count()
        self.done = threading.Semaphore(0)
        self.error: BaseException | None = None

    def work(self) -> int:
        """Take ranges until none is left; how many were taken."""
        taken = 0
        for i in self.turn:
            if i >= self.ranges:
                break
            try:
                self.kernel(
                    self.tasks * i // self.ranges,
                    self.tasks * (i + 1) // self.ranges,
                    self.argument,
                )
            except BaseException as error:
                self.error = error
            taken += 1
            self.done.release()
        return taken

    def wait(self) -> None:
        for _ in range(self.ranges):
            self.done.acquire()
        if self.error is not None:
            raise self.error


def run(kernel: Kernel, tasks: int, argument: Any, work: int) -> None:
    """Call `kernel(first, last, argument)` over all tasks, with as many threads as PyTorch uses.

    Args:
        work: the element-steps of the call; little work is done by the caller alone.
    """
    threads = min(torch.get_num_threads(), tasks)
    if threads == 1 or work < SMALL:
        kernel(0, tasks, argument)
        return
    ranges = min(tasks, RANGES_PER_THREAD * threads)
    if openmp.parallel(kernel, tasks, argument, threads, ranges):
        return
    job = _Job(kernel, tasks, argument, ranges)
    _ensure(threads - 1)
    for _ in range(threads - 1):
        _jobs.put(job)
    job.work()
    job.wait()


def _ensure(count: int) -> None:
    if len(_workers) >= count:
        return
    with _lock:
        while len(_workers) < count:
            worker = threading.Thread(target=_serve, args=(_jobs,), daemon=True, name="neurodyn")
            worker.start()
            _workers.append(worker)


def _serve(jobs: queue.SimpleQueue[_Job]) -> None:
    while True:
        jobs.get().work()


def _after_fork() -> None:
    global _jobs, _lock
    _jobs, _lock = queue.SimpleQueue(), threading.Lock()
    _workers.clear()


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(after_in_child=_after_fork)
