"""Let the C library keep freed memory: mapping a large tensor costs more than its arithmetic."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed memory instead of returning it to the system.

    By default every large tensor is mapped and unmapped again, and each of its pages faults at the
    first write. This is for a process that trains: its peak memory stays the same, but is held to
    the end. Returns whether it was done; only glibc has the setting.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
