"""Where a benchmark runs: the allocator's settings, the processor and the versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PINNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TOP_PAD_": "1000000000",
}


def pin(module: str) -> None:
    """Have the C library keep freed memory: the process starts itself again with that setting."""
    if any(os.environ.get(k) != v for k, v in PINNED.items()):
        os.environ.update(PINNED)
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


def machine() -> dict[str, str]:
    """The processor and the versions of what was measured."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    versions = {"python": platform.python_version()}
    for name in ("torch", "llvmlite", "spikingjelly", "snntorch", "norse", "sinabs"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    cores = len(os.sched_getaffinity(0))
    return {"cpu": f"{cores}-core {platform.machine()} CPU ({model})", **versions}
