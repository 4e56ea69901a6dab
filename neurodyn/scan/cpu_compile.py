"""Compile a CPU kernel, or take its machine code from beside its source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import int64, njit, void
from numba.core.caching import CompileResultCacheImpl, FunctionCache

SIGNATURE = void(int64, int64, int64[::1])


class _BesideSource:
    """Numba's cache files lie next to the kernel's source.

    Numba's own locators take a folder only if they can write to it; a shared, read-only cache is to
    be read all the same. The source's name holds its hash, so it needs no time stamp.
    """

    def __init__(self, path: str) -> None:
        self._py_file = path

    @classmethod
    def from_function(cls, function: Callable[..., Any], path: str) -> _BesideSource:
        return cls(path)

    def get_cache_path(self) -> str:
        return str(Path(self._py_file).parent)

    def ensure_cache_path(self) -> None:
        pass

    def get_source_stamp(self) -> tuple[int, int]:
        return (0, 0)

    def get_disambiguator(self) -> None:
        return None


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_BesideSource,)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def kernel(function: Callable[[int, int, Any], None]) -> Callable[[int, int, Any], None]:
    """Decorates the kernels in emitted source: compiled at once, without the interpreter's lock."""
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    # The cache is a matter of speed alone: whatever is wrong with it, the kernel gets compiled.
    with contextlib.suppress(Exception):
        dispatcher._cache = _Cache(function)
    try:
        dispatcher.compile(SIGNATURE)
    except Exception:
        dispatcher = njit(SIGNATURE, nogil=True, error_model="numpy")(function)
    result: Callable[[int, int, Any], None] = dispatcher
    return result
