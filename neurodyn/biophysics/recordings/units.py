"""Units of recordings: millivolts and nanoamperes, whatever a file has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodyn.errors import unknown

VOLTAGE = {"V": 1e3, "volts": 1e3, "mV": 1.0, "uV": 1e-3}
CURRENT = {"A": 1e9, "amperes": 1e9, "uA": 1e3, "nA": 1.0, "pA": 1e-3}
"""What makes millivolts, and nanoamperes."""
REST = (-130.0, -20.0)
"""Where half of the samples of a membrane potential lie below and half above [mV]."""
LEAST, MOST = 1e-3, 20.0
"""Currents that are injected into cells: the largest of a recording [nA]."""


def scaled(values: NDArray[np.float64], unit: str, known: dict[str, float]) -> NDArray[np.float64]:
    """Values in millivolts or nanoamperes."""
    if unit not in known:
        raise unknown("unit", unit, known)
    return values * known[unit]


def voltage_unit(values: NDArray[np.float64]) -> str | None:
    """The unit in which these are a membrane potential; None if there is none."""
    middle = float(np.median(values))
    return next((u for u in ("mV", "V") if REST[0] <= middle * VOLTAGE[u] <= REST[1]), None)


def current_unit(values: NDArray[np.float64]) -> str | None:
    """The unit in which the largest of these is a current that is injected into a cell: nA and pA
    overlap, so that what is above 20 is taken for pA."""
    largest = float(np.abs(values).max())
    order = ("nA", "pA", "A")
    return next((u for u in order if LEAST <= largest * CURRENT[u] <= MOST), None)


def check_magnitudes(current: NDArray[np.float64], voltage: NDArray[np.float64]) -> None:
    """An error if voltages or currents can only be in another unit."""
    highest = float(np.abs(voltage).max())
    if 0 < highest < 1.0:
        raise ValueError(
            f"voltage: expected millivolts, got at most {highest:.3g}, which looks like volts; "
            "multiply by 1000"
        )
    if highest > 1000.0:
        raise ValueError(
            f"voltage: expected millivolts, got up to {highest:.3g}, which looks like microvolts"
        )
    largest = float(np.abs(current).max())
    if 0 < largest <= MOST * 1e-9:
        raise ValueError(
            f"current: expected nanoamperes, got at most {largest:.3g}, which looks like amperes; "
            "multiply by 1e9"
        )
    if largest > MOST:
        raise ValueError(
            f"current: expected nanoamperes, got up to {largest:.3g}, which looks like "
            "picoamperes; divide by 1000"
        )
