"""Memory for the large tensors that CPU kernels write: blocks that are used again.

The C library maps fresh memory for every large tensor, and unmaps it with the tensor. The system
fills fresh memory with zeros, 4 KiB at a time, each in an interrupt. For a short sequence that
takes several times as long as the kernel. Here, the block of a tensor that has gone waits for the
next tensor. Blocks lie in huge pages, so that the processor has fewer addresses to look up.

Blocks that wait are bounded (see `Pool`), and the system takes their pages when it runs short of
memory. Only Linux offers all this; elsewhere PyTorch allocates. `NEURODYN_POOL=0` turns it off.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from neurodyn.scan.layout import Shape

ON = os.environ.get("NEURODYN_POOL") != "0"
ON = ON and hasattr(mmap, "MADV_HUGEPAGE") and hasattr(mmap, "MADV_FREE")
LARGE = 1 << 20
"""Smallest tensor, in bytes, whose memory comes from here."""
PAGE = 1 << 21
"""Bytes of a huge page. Blocks start at a multiple of it."""
SLACK = 4
"""A block serves a tensor that leaves at most this part of it, a quarter, unused."""
PATIENCE = 60.0
"""Seconds that a block waits for a tensor."""


class Block:
    """Memory of the system. It is unmapped when neither the pool nor a tensor has it."""

    def __init__(self, size: int) -> None:
        self.size, self.since = size, 0.0
        self.memory = mmap.mmap(-1, size + PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.start = -ctypes.addressof(ctypes.c_char.from_buffer(self.memory)) % PAGE
        self.advise(mmap.MADV_HUGEPAGE)

    def advise(self, advice: int) -> None:
        """Tell the system how the block is used. Some systems, and locked memory, take no advice;
        the block serves without."""
        with contextlib.suppress(OSError):
            self.memory.madvise(advice)


class Pool:
    """Blocks in use, and blocks that wait.

    A block is in use while there is a view of it, which the tensor holds. Then it waits for another
    tensor. A call of the pool unmaps what has waited for `PATIENCE` seconds, and what exceeds the
    most that was in use at once in that time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.lock = clock, threading.RLock()
        self.returned: deque[Block] = deque()
        """Blocks whose view has gone. That may happen in any thread, and while the lock is held."""
        self.waiting: list[Block] = []
        """In the order in which they came back."""
        self.used = self.peak = self.peak_before = 0
        """Bytes in use: now, and the most in this and in the last period of `PATIENCE` seconds."""
        self.period_ends = 0.0

    def take(self, size: int) -> memoryview:
        """Memory of `size` bytes, uninitialised.

        Raises:
            OSError: the system has no more memory.
        """
        with self.lock:
            self._collect()
            block = self._fitting(size) or Block(-(-size // PAGE) * PAGE)
            self.used += block.size
            self.peak = max(self.peak, self.used)
            self._trim()
        view = memoryview(block.memory)[block.start : block.start + size]
        weakref.finalize(view, self._back, block).atexit = False
        return view

    def _back(self, block: Block) -> None:
        block.advise(mmap.MADV_FREE)  # Its pages are the system's if it needs them.
        self.returned.append(block)

    def _collect(self) -> None:
        now = self.clock()
        while self.returned:
            block = self.returned.popleft()
            block.since = now
            self.used -= block.size
            self.waiting.append(block)
        if now > self.period_ends:
            self.peak_before, self.peak, self.period_ends = self.peak, self.used, now + PATIENCE
        while self.waiting and now > self.waiting[0].since + PATIENCE:
            del self.waiting[0]

    def _fitting(self, size: int) -> Block | None:
        """The smallest block that is large enough but not too large; of equal ones the last that
        came back, of which the cache may still hold a part."""
        fitting = [b for b in self.waiting if b.size - b.size // SLACK - PAGE < size <= b.size]
        best = min(reversed(fitting), key=lambda block: block.size, default=None)
        if best is not None:
            self.waiting.remove(best)
        return best

    def _trim(self) -> None:
        left = sum(block.size for block in self.waiting)
        while left > max(self.peak, self.peak_before):
            left -= self.waiting.pop(0).size

    def clear(self) -> None:
        """Unmap what waits."""
        with self.lock:
            self._collect()
            self.waiting.clear()

    def forked(self) -> None:
        """In a child, writing to a page of its parent copies it. So it starts without a block."""
        self.clear()
        self.lock.release()


POOL = Pool()


def allocator(
    shape: Shape, strides: Shape, dtype: torch.dtype, device: torch.device
) -> Callable[[], Tensor]:
    """What allocates dense tensors like these: the pool where it serves, and else PyTorch."""
    size = math.prod(shape) * dtype.itemsize
    if ON and device.type == "cpu" and size >= LARGE:
        return partial(empty_strided, shape, strides, dtype, size)
    return partial(torch.empty_strided, shape, strides, dtype=dtype, device=device)


def empty_strided(shape: Shape, strides: Shape, dtype: torch.dtype, size: int) -> Tensor:
    """`torch.empty_strided` in the pool, for a dense tensor of `size` bytes."""
    try:
        view = POOL.take(size)
    except OSError:
        POOL.clear()
        return torch.empty_strided(shape, strides, dtype=dtype)
    # A view would not do: autograd refuses to change an operator's result in place if it is one.
    # Nor would a storage that Python has seen: it stays referred to, and autograd would not add to
    # a gradient in it but write the sum into fresh memory.
    made: Tensor = torch.empty(0, dtype=dtype).set_(  # type: ignore[call-overload]
        torch.frombuffer(view, dtype=dtype), 0, shape, strides
    )
    return made


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(
        before=POOL.lock.acquire, after_in_parent=POOL.lock.release, after_in_child=POOL.forked
    )
