"""What readers of files give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Sweep(NamedTuple):
    """One sweep of a file."""

    name: str
    current: Array
    """[nA]"""
    voltage: Array
    """[mV]"""
    dt: float | None
    """[ms]; None if the file does not say."""
    start: float | None = None
    """When it began, on the clock of the file [ms]; None if that does not say."""
