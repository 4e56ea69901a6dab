"""What data were when they were read: a hash that a run's result keeps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

CONTENT = 2**30
"""Files of so many bytes together are read for their hash. Of more, names, sizes and dates are."""

BLOCK = 2**24


def below(folder: Path) -> list[Path]:
    """The files in a folder and in all folders below it, hidden ones left out, sorted."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(where, name) for name in files if not name.startswith(".")]
    return sorted(found)


def of_files(paths: Sequence[Path], root: Path | None = None) -> str:
    """The hash of files, and in front of it what was hashed.

    `sha256-content:` is over names, sizes and contents, and is the same on every machine.
    `sha256-names-sizes-dates:` stands for files that are too large to read for this: there the
    contents were not looked at, and a copy with other dates has another hash.

    Args:
        paths: the files.
        root: a folder above all of them: a name is the path from there. Without it, names do not
            count.
    """
    return _of_files(
        tuple(
            (str(path), str(path.relative_to(root)) if root else "", *_stamp(path))
            for path in paths
        )
    )


@lru_cache(maxsize=8)
def _of_files(files: tuple[tuple[str, str, int, int], ...]) -> str:
    whole = sum(size for _, _, size, _ in files) <= CONTENT
    digest = hashlib.sha256()
    for path, name, size, date in files:
        digest.update(repr((name, size) if whole else (name, size, date)).encode())
        if whole:
            with open(path, "rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
    return f"sha256-{'content' if whole else 'names-sizes-dates'}:{digest.hexdigest()}"


def of_arrays(arrays: Iterable[np.ndarray[Any, Any]]) -> str:
    """The hash of arrays: of their types, shapes and numbers."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.dtype.str, array.shape)).encode())
        rows = max(1, BLOCK // max(1, array.nbytes // max(1, len(array))))
        for start in range(0, len(array), rows):
            digest.update(np.ascontiguousarray(array[start : start + rows]).tobytes())
    return f"sha256-content:{digest.hexdigest()}"


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
