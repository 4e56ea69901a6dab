"""Several processes in one run folder: each run has a lock, and its holder alone works on it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_only


def in_turn(
    homes: Sequence[Path], *, together: bool, waiting: Callable[[int], None]
) -> Generator[int]:
    """The indices of runs, each while its lock is held.

    Runs that other processes hold come last, when those are done with them. A process that ends,
    in whatever way, leaves its locks.

    Args:
        homes: the folders of the runs.
        together: all locks are held from the first run to the last. Training on several devices
            needs it: all its processes go through the runs in one order.
        waiting: called with the index of a run that another process holds, before waiting for it.
    """
    if getattr(rank_zero_only, "rank", 0):
        yield from range(len(homes))  # The process of the first device holds the locks.
        return
    locks = []
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
        locks.append(FileLock(home / "run.lock"))
    if together:
        with ExitStack() as stack:
            for index, lock in enumerate(locks):
                stack.enter_context(_held(lock, partial(waiting, index)))
            yield from range(len(locks))
        return
    left = []
    for index, lock in enumerate(locks):
        with _held(lock) as mine:
            if mine:
                yield index
            else:
                left.append(index)
    for index in left:
        with _held(locks[index], partial(waiting, index)):
            yield index


@contextmanager
def _held(lock: FileLock, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold a lock. If another process holds it: wait for it, or, without `waiting`, yield False."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if waiting is None:
            yield False
            return
        waiting()
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()
