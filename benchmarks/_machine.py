"""Where a benchmark runs: settings of the allocator, empty caches, processor, versions."""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

PINNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TOP_PAD_": "1000000000",
}
UNPINNED = "--unpinned"
"""The option that leaves the allocator as a user's process has it."""
CACHES = ("NEURODYN_CACHE", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
STARTED = "NEURODYN_BENCH_CACHES"
"""The environment variable with the folder of caches of a process that has restarted itself."""


def pin(module: str) -> None:
    """Make the C library keep freed memory, unless `UNPINNED` is among the arguments, and give
    compilers empty caches.

    Both settings are read when a process starts, so this process restarts itself.
    """
    if STARTED in os.environ:
        atexit.register(shutil.rmtree, os.environ[STARTED], ignore_errors=True)
        return
    folder = tempfile.mkdtemp(prefix="neurodyn-bench-")
    caches = {name: str(Path(folder, name.lower())) for name in CACHES}
    pinned = {} if UNPINNED in sys.argv else PINNED
    os.environ.update({**pinned, **caches, STARTED: folder})
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


def machine() -> dict[str, str]:
    """The processor, and the versions of what is measured."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    versions = {"python": platform.python_version()}
    for name in ("torch", "llvmlite", "spikingjelly", "snntorch", "norse", "sinabs", "jax"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    # Only Linux says which cores this process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": f"{cores}-core {platform.machine()} CPU ({model})", **versions}
