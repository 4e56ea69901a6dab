"""Pickled data without pickle's dangers: plain containers and arrays of bytes, nothing else.

A pickle is a program: it may call anything that it can import. Here it can import only the
stand-ins below, which describe an array and never reach NumPy, so that not even a forged dtype or
shape meets code that was written for trusted input.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

# What pickles of byte arrays name, in the old and in the new layout of NumPy and in Python 2.
ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")


class _Dtype:
    def __init__(self, name: str | bytes, *_flags: object) -> None:
        name = name.decode("latin1") if isinstance(name, bytes) else name
        if name.lstrip("|") not in ("u1", "B", "uint8"):
            raise ValueError(f"found an array of type {name!r}, expected unsigned bytes ('u1')")

    def __setstate__(self, state: object) -> None:
        """A byte has no byte order, so there is nothing to restore."""


class _Array:
    def __init__(self, *_prototype: object) -> None:
        self.value: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


class _NdArray:
    """Stands for `numpy.ndarray`, which pickles name only as an argument."""

    def __init__(self, *_args: object) -> None:
        raise ValueError("found a call of numpy.ndarray, expected it as an argument only")


def _array(
    data: Any, dtype: object, shape: tuple[int, ...], order: Any
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if not isinstance(dtype, _Dtype):
        raise ValueError(f"found an array of type {dtype!r}, expected unsigned bytes ('u1')")
    if not isinstance(data, bytes | bytearray) or len(data) != math.prod(shape):
        size = f"{len(data):,}" if hasattr(data, "__len__") else type(data).__name__
        raise ValueError(f"found {size} bytes for an array of shape {shape}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape, order=order)


def _from_buffer(data: Any, dtype: object, shape: tuple[int, ...], order: Any) -> _Array:
    array = _Array()
    array.value = _array(data, dtype, shape, order)
    return array


def _encode(text: str, encoding: str) -> bytes:
    # How protocol 2 writes bytes; `_codecs.encode` itself would import codecs by name.
    if encoding != "latin1":
        raise ValueError(f"found bytes encoded as {encoding!r}, expected 'latin1'")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _NdArray,
    **dict.fromkeys([(module, "_reconstruct") for module in ARRAY_MODULES], _Array),
    **dict.fromkeys([(module, "_frombuffer") for module in BUFFER_MODULES], _from_buffer),
}


class _Forbidden(Exception):  # noqa: N818 - a signal within this file, never raised to the user
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Forbidden(f"{module}.{name}") from None


def load_pickle(path: str | Path) -> Any:
    """What a pickle of plain data holds: containers, numbers, text, and uint8 NumPy arrays.

    Reads every protocol, Python 2's too; its `str` becomes `bytes`, except as a dictionary's key.

    Args:
        path: the file.

    Raises:
        ValueError: the pickle asks for anything else than such data (nothing of it is run), or it
            is truncated or corrupt.
    """
    path = Path(path)
    content = io.BytesIO(path.read_bytes())
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
    """The value with its arrays in place of their stand-ins, and text for keys."""
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("found an array without content")
        return value.value
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray):
        return value
    raise ValueError(f"found a {type(value).__name__} where data was expected")


def _text(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key
