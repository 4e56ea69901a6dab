"""Recordings of spikes in the HDF5 layout of the Heidelberg data sets (Cramer et al. 2020).

A file holds `spikes/times` and `spikes/units`, each an array with one array per sample (seconds, as
float16, and channels), and `labels`. `extra` holds more, such as the speakers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.data.formats.child import decoded
from neurodyn.data.formats.reading import RATIO, reading

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bins:
    """The steps and channels in which spikes are counted.

    Args:
        steps: number of timesteps; later spikes are left out.
        seconds: length of a timestep.
        recorded: number of channels of the recording.
        channels: number of channels after summing neighbours; a divisor of `recorded`.
    """

    steps: int
    seconds: float
    recorded: int
    channels: int


def bin_spikes(times: Array, units: Array, bins: Bins) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Count spikes in steps and channels, `(steps, channels)`.

    Args:
        times: of the spikes, in seconds, `(N,)`.
        units: of the spikes: channels from 0 to recorded - 1, `(N,)`.
        bins: the steps and channels.

    Raises:
        ValueError: times and units differ in length, lie outside their range, or a count is above
            255.
    """
    if times.shape != units.shape or times.ndim != 1:
        raise ValueError(
            f"found {times.shape} times and {units.shape} units of spikes, expected (N,) of each"
        )
    if len(times) and not (np.isfinite(times).all() and times.min() >= 0):
        raise ValueError("found times that are negative or not finite, expected seconds from 0 on")
    if units.dtype.kind not in "iu":
        raise ValueError(f"found units of {units.dtype}, expected integers")
    if len(units) and not 0 <= units.min() <= units.max() < bins.recorded:
        found = f"{units.min()} to {units.max()}"
        raise ValueError(f"found units {found}, expected 0 to {bins.recorded - 1}")
    step = _steps(times, bins.seconds)
    kept = step < bins.steps
    channel = units[kept].astype(np.int64) // (bins.recorded // bins.channels)
    place = step[kept].astype(np.int64) * bins.channels + channel
    counts = np.bincount(place, minlength=bins.steps * bins.channels)
    if counts.max(initial=0) > 255:
        raise ValueError(
            f"found {counts.max()} spikes in one step of one channel, expected at most 255: "
            "take shorter steps or more channels"
        )
    return counts.astype(np.uint8).reshape(bins.steps, bins.channels)


def _steps(times: Array, seconds: float) -> Array:
    """The step in which each time lies, as whole floats.

    A time at the edge of two steps belongs to the later one. Rounding may have made it a little
    early: by half a unit in the last place where it was stored, and by as much where it was
    computed. (Half precision is only stored in.) The division adds two halves of a double.
    """
    unit = float(np.finfo(times.dtype).eps) if times.dtype.kind == "f" else 0.0
    tolerance = (unit / 2 if times.dtype == np.float16 else unit) + float(np.finfo(float).eps)
    place = times.astype(np.float64) / seconds
    nearest = np.rint(place)
    at_edge = np.abs(place - nearest) <= tolerance * nearest
    return np.asarray(np.where(at_edge, nearest, np.floor(place)))


def read_labels(path: Path) -> Array:
    """The class of each sample of a file, `(N,)`, int64."""
    return integers(path, "labels")


def read_counts(path: Path, bins: Bins) -> Iterator[Array]:
    """The counts `(steps, channels)` of each sample of a file, uint8.

    Raises:
        ValueError: the file has another layout, or a sample cannot be counted.
    """
    read_labels(path)
    rows = hdf5(path, "spikes/times", "spikes/units", "labels", rows=True)
    for number, (when, unit, _) in enumerate(zip(rows, rows, rows, strict=True)):
        # Half precision holds times that were never at an edge: they count as they are stored.
        if when.dtype == np.float16:
            when = when.astype(np.float64)
        with reading(path, "spikes that can be counted", f"sample {number}"):
            yield bin_spikes(when, unit, bins)


def hdf5(path: Path, *names: str, rows: bool = False) -> Iterator[Array]:
    """Data sets of an HDF5 file by their names; with `rows`, one row of each in turn.

    Raises:
        ValueError: one is not there, is in another file, or claims more than the file could hold.
    """
    with reading(path, "a complete HDF5 file, unpacked"):
        yield from decoded("hdf5", path, "audio", names=names, ratio=RATIO, rows=rows)


def integers(path: Path, name: str) -> Array:
    """Whole numbers of an HDF5 file, `(N,)`, int64."""
    (found,) = hdf5(path, name)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        raise ValueError(
            f"{path}: found {name!r} of {found.dtype}, shape {found.shape}; expected integers (N,)"
        )
    return found.astype(np.int64)


def texts(path: Path, name: str) -> Array:
    """Text of an HDF5 file, `(N,)`."""
    (found,) = hdf5(path, name)
    with reading(path, f"text in {name!r}"):
        return np.asarray(np.char.decode(found, "utf-8"))


def read_speakers(path: Path) -> np.ndarray[Any, np.dtype[np.str_]]:
    """The name of each sample's speaker, from `extra/speaker` and `extra/meta_info`."""
    names, speakers = texts(path, "extra/meta_info/speaker_name"), integers(path, "extra/speaker")
    if len(speakers) and not 0 <= speakers.min() <= speakers.max() < len(names):
        found = f"{speakers.min()} to {speakers.max()}"
        raise ValueError(f"{path}: found speakers {found}, expected 0 to {len(names) - 1}")
    return np.asarray(names[speakers])
