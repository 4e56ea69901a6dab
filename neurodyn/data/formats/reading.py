"""What all readers share: an error that names the file, and a bound for what a file can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

RATIO = 1032
"""The most that deflate (gzip, zip, HDF5's and MATLAB's compression) makes of one byte."""


@contextlib.contextmanager
def reading(path: str | Path, expected: str, part: str = "") -> Iterator[None]:
    """Turn any error in its block into one that names the file, what came and what was expected.

    A damaged file can make a decoder raise anything, and ask for more memory than there is.

    Args:
        path: the file.
        expected: the content that is expected of it.
        part: the part of the file that is read.

    Raises:
        ValueError: for any error except a missing package, a missing file or one that is closed to
            this user.
    """
    try:
        yield
    except (ImportError, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{path}:"):
            raise
        where = f"{path}: {part}" if part else f"{path}"
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        found = " ".join(f"{kind}{error}".split()).rstrip(":")
        raise ValueError(f"{where}: {found}; expected {expected}") from error
