"""Let the C library keep freed memory: big new tensors cost more than their arithmetic."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed memory in place of returning it to the system.

    By default every big tensor is mapped and unmapped anew, and each of its pages faults when first
    written. For a process that trains; the peak memory is not changed, it is only held. Returns
    whether it was done (glibc alone has the switch).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
