"""PyTorch's own threads, where they can be asked.

Between two of its operations PyTorch's threads keep their cores busy, waiting for more to do;
threads of our own would have to fight them for the cores. So kernels run on those threads, by the
entry that compilers use for a parallel region. Where PyTorch has no OpenMP of that kind, and in
forked processes, which do not inherit its threads, `team` has its own.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from neurodyn.scan.cpu import build

# Takes ranges of the kernel's tasks in turn until none is left; every thread of a region runs it.
SHARE = """
define void @share(ptr %job) nounwind {
  %kernel = load ptr, ptr %job
  %tasks.p = getelementptr i64, ptr %job, i64 1
  %tasks = load i64, ptr %tasks.p
  %argument.p = getelementptr i64, ptr %job, i64 2
  %argument = load i64, ptr %argument.p
  %ranges.p = getelementptr i64, ptr %job, i64 3
  %ranges = load i64, ptr %ranges.p
  %turn.p = getelementptr i64, ptr %job, i64 4
  br label %next
next:
  %turn = atomicrmw add ptr %turn.p, i64 1 monotonic
  %some = icmp slt i64 %turn, %ranges
  br i1 %some, label %work, label %done
work:
  %before = mul i64 %tasks, %turn
  %first = sdiv i64 %before, %ranges
  %after = add i64 %before, %tasks
  %last = sdiv i64 %after, %ranges
  call void %kernel(i64 %first, i64 %last, i64 %argument)
  br label %next
done:
  ret void
}
"""
_forked = False


def parallel(kernel: build.Kernel, tasks: int, argument: Any, threads: int, ranges: int) -> bool:
    """Call a compiled kernel over all its tasks; False if there are no threads to ask.

    Args:
        argument: the kernel's argument array.
        threads: how many, this one included.
        ranges: into how many ranges of tasks to cut the work.
    """
    region = None if _forked else _region()
    if region is None:
        return False
    share, start = region
    job = (ctypes.c_int64 * 5)(_address(kernel), tasks, ctypes.addressof(argument), ranges, 0)
    start(_address(share), ctypes.addressof(job), threads, 0)
    return True


@lru_cache(maxsize=1)
def _region() -> tuple[Any, Any] | None:
    """What each thread runs, and the function that starts them."""
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


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(after_in_child=_after_fork)
