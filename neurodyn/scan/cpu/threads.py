"""The threads that share a kernel's tasks.

A call cuts its tasks into ranges, and every thread takes the next range until none is left. The
threads are PyTorch's: between two operations they keep their cores busy, waiting for more, and
others would have to fight them for the cores. Threads of our own do it where PyTorch has no OpenMP
that can be asked, and in forked processes, which do not inherit PyTorch's.
"""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from neurodyn.scan.cpu import build

SMALL = 1 << 15
"""Below this many element-steps, waking a thread costs more than it brings."""
RANGES_PER_THREAD = 4
SHARE = """
define void @share(ptr %job) nounwind {
  %values = load [4 x i64], ptr %job
  %address = extractvalue [4 x i64] %values, 0
  %kernel = inttoptr i64 %address to ptr
  %tasks = extractvalue [4 x i64] %values, 1
  %arguments = extractvalue [4 x i64] %values, 2
  %ranges = extractvalue [4 x i64] %values, 3
  %turns = getelementptr i64, ptr %job, i64 4
  br label %next
next:
  %turn = atomicrmw add ptr %turns, i64 1 monotonic
  %some = icmp slt i64 %turn, %ranges
  br i1 %some, label %work, label %done
work:
  %before = mul i64 %tasks, %turn
  %first = sdiv i64 %before, %ranges
  %after = add i64 %before, %tasks
  %last = sdiv i64 %after, %ranges
  call void %kernel(i64 %first, i64 %last, i64 %arguments)
  br label %next
done:
  ret void
}
"""
"""What each of PyTorch's threads runs: it takes ranges until none is left."""

_forked = False
_jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_workers: list[threading.Thread] = []


def run(kernel: build.Kernel, tasks: int, arguments: int, work: int) -> None:
    """Call `kernel(first, last, arguments)` over all tasks, with as many threads as PyTorch uses.

    Args:
        arguments: the address of the kernel's argument array.
        work: the element-steps of the call; the caller alone does a small call.
    """
    threads = min(torch.get_num_threads(), tasks)
    if threads == 1 or work < SMALL:
        kernel(0, tasks, arguments)
        return
    ranges = min(tasks, RANGES_PER_THREAD * threads)
    if _forked or (region := _region()) is None:
        _share(kernel, tasks, arguments, threads, ranges)
        return
    share, start = region
    job = (ctypes.c_int64 * 5)(_address(kernel), tasks, arguments, ranges, 0)
    start(_address(share), ctypes.addressof(job), threads, 0)


@lru_cache(maxsize=1)
def _region() -> tuple[build.Kernel, Any] | None:
    """`SHARE` as a function, and the entry of OpenMP that runs it in PyTorch's threads."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:  # The symbol is looked for in what PyTorch itself is linked to.
        start = ctypes.CDLL(str(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    start.restype = None
    return build.kernel("share", "share", lambda: SHARE), start


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _share(kernel: build.Kernel, tasks: int, arguments: int, threads: int, ranges: int) -> None:
    """`SHARE`, by threads of our own; callers in several threads have them in common."""
    turns, done, errors = iter(range(ranges)), threading.Semaphore(0), []

    def work() -> None:
        for i in turns:
            try:
                kernel(tasks * i // ranges, tasks * (i + 1) // ranges, arguments)
            except BaseException as error:
                errors.append(error)
            done.release()

    while len(_workers) < threads - 1:  # Callers at once may start one too many: no harm done.
        _workers.append(threading.Thread(target=_serve, args=(_jobs,), daemon=True))
        _workers[-1].start()
    for _ in range(threads - 1):
        _jobs.put(work)
    work()
    for _ in range(ranges):
        done.acquire()
    if errors:
        raise errors[0]


def _serve(jobs: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        jobs.get()()


def _after_fork() -> None:
    global _forked, _jobs
    _forked, _jobs = True, queue.SimpleQueue()
    _workers.clear()


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(after_in_child=_after_fork)
