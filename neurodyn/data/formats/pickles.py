"""Pickled data without pickle's dangers: plain containers and arrays of bytes, nothing else.

A pickle is a program: it may call anything that it can import. Here it can import the four names
that the batches of CIFAR need, and gets stand-ins for them. The stand-ins describe an array and
never reach NumPy's own unpickling, which trusts the dtype and shape that a file gives it.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np


class _Dtype:
    def __init__(self, name: str | bytes, *_flags: object) -> None:
        if name not in ("u1", b"u1"):
            raise ValueError(f"found an array of type {name!r}, expected unsigned bytes ('u1')")

    def __setstate__(self, state: object) -> None:
        """A byte has no byte order, so there is nothing to restore."""


class _Array:
    value: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def __init__(self, *_prototype: object) -> None:
        """The content comes later, with the state."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype):
            raise ValueError(f"found an array of type {dtype!r}, expected unsigned bytes ('u1')")
        self.value = np.frombuffer(data, np.uint8).reshape(shape, order="F" if fortran else "C")


def _encode(text: str, encoding: str) -> bytes:
    # Protocols 0 to 2 write bytes like this; `_codecs.encode` itself would import codecs by name.
    if encoding != "latin1":
        raise ValueError(f"found bytes encoded as {encoding!r}, expected 'latin1'")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): object(),  # Pickles name it only as an argument.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


class _Forbidden(Exception):  # noqa: N818 - a signal within this file, never raised to the user
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _Forbidden(f"{module}.{name}")
        return ALLOWED[module, name]


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of plain data: containers, numbers, text, and uint8 NumPy arrays.

    Reads protocols 0 to 4, Python 2's too; its `str` becomes `bytes`, except as a dictionary's key.

    Raises:
        ValueError: the pickle asks for anything else (nothing of it is run), or it is truncated or
            corrupt.
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        return _plain(_Unpickler(content, encoding="bytes").load())
    except _Forbidden as error:
        raise ValueError(
            f"{path}: the pickle asks for {error}, which a data file does not need; expected only "
            f"lists, dicts, numbers, text and uint8 arrays. Nothing of it was run: do not trust it"
        ) from None
    # A broken pickle can fail with almost any exception.
    except Exception as error:
        raise ValueError(
            f"{path}: truncated or corrupt, expected a complete pickle "
            f"({type(error).__name__}: {error})"
        ) from error


def _plain(value: Any) -> Any:
    """The value with arrays instead of their stand-ins, and text for keys."""
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray):
        return value
    raise ValueError(f"found a {type(value).__name__}, expected plain data")


def _text(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key
