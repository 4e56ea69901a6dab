"""Numbers as short text, for the data of a page: base64 of bits, bytes or 16-bit integers."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


def bits(values: Array) -> str:
    """Whether each value differs from zero, eight in a byte, the first one highest."""
    return _text(np.packbits(np.asarray(values) != 0))


def octets(values: Array) -> str:
    """Whole numbers from 0 to 255."""
    return _text(np.asarray(values).clip(0, 255).astype(np.uint8))


def words(values: Array) -> str:
    """Whole numbers from -32,767 to 32,767, the low byte first; those that are not finite are
    -32,768."""
    whole = np.asarray(values, dtype=np.float64)
    known = np.isfinite(whole)
    packed = np.where(known, whole.round().clip(-32767, 32767), -32768)
    return _text(packed.astype("<i2"))


def _text(packed: NDArray[np.generic]) -> str:
    return base64.b64encode(packed.tobytes()).decode()
