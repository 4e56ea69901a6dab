"""Which reader a path needs, and sweeps put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.biophysics.recordings.sweep import Sweep
from neurodyn.biophysics.recordings.units import REST
from neurodyn.errors import unknown

STRONG = 0.5
"""A current is strong if it moves by this share of what the strongest does."""
MOVED = 1.0
"""Less of a change of the voltage is none [mV]."""


def read_sweeps(path: Path, protocol: str | None = None) -> tuple[list[Sweep], list[str]]:
    """The sweeps of a file or folder, all of one length and rate, and what there is to say.

    Args:
        path: as for `Recording.read`.
        protocol: a part of the names of the sweeps to read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    sweeps, notes = _reader(path)(path)
    if protocol is not None:
        sweeps = _chosen(path, sweeps, protocol)
    return _of_one_kind(sweeps, notes)


def starts(sweeps: Sequence[Sweep], dt: float) -> list[float] | None:
    """When the sweeps began [ms], if their file says so and they follow one another."""
    found = [sweep.start for sweep in sweeps if sweep.start is not None]
    if len(found) < len(sweeps):
        return None
    longest = (1 - 1e-9) * len(sweeps[0].voltage) * dt
    return found if all(b - a >= longest for a, b in pairwise(found)) else None


def doubts(sweeps: Sequence[Sweep]) -> list[str]:
    """What a look at the plots of a recording would call into question."""
    rest = float(np.median([np.median(sweep.voltage) for sweep in sweeps]))
    said = []
    if not REST[0] <= rest <= REST[1]:
        said.append(
            f"rests at {rest:.1f} mV, as no cell does: an offset of the electrode? "
            "`threshold` has to lie between that and the peaks of the spikes"
        )
    if silent := [sweep.name for sweep in _unmoved(sweeps)]:
        said.append(f"the voltage does not follow the current of {', '.join(silent)}")
    return said


def _unmoved(sweeps: Sequence[Sweep]) -> list[Sweep]:
    """Sweeps of a strong current whose voltage is the same at its highest and its lowest."""
    most = max(float(np.ptp(sweep.current)) for sweep in sweeps)
    found = []
    for sweep in sweeps:
        low, high = sweep.current.min(), sweep.current.max()
        if high - low < STRONG * most or most == 0:
            continue
        upper = sweep.current > (low + high) / 2
        change = np.median(sweep.voltage[upper]) - np.median(sweep.voltage[~upper])
        if abs(change) < MOVED:
            found.append(sweep)
    return found


def _reader(path: Path) -> Callable[[Path], tuple[list[Sweep], list[str]]]:
    if path.is_dir():
        from neurodyn.biophysics.recordings.igor import read_folder

        return read_folder
    kind = path.suffix.lower()
    if kind == ".ibw":
        from neurodyn.biophysics.recordings.igor import read_pair

        return read_pair
    from neurodyn.biophysics.recordings import formats

    readers: dict[str, Any] = {
        ".abf": formats.read_abf,
        ".nwb": formats.read_nwb,
        ".txt": formats.read_text,
        ".csv": formats.read_text,
    }
    if kind not in readers:
        raise unknown(f"{path}: format", kind, (*readers, ".ibw"))
    reader: Callable[[Path], tuple[list[Sweep], list[str]]] = readers[kind]
    return reader


def _chosen(path: Path, sweeps: Sequence[Sweep], protocol: str) -> list[Sweep]:
    kept = [sweep for sweep in sweeps if protocol in sweep.name]
    if not kept:
        names = ", ".join(sweep.name for sweep in sweeps[:8])
        raise ValueError(f"protocol: {path} has no sweep with {protocol!r} in its name: {names}")
    return kept


def _of_one_kind(sweeps: list[Sweep], notes: list[str]) -> tuple[list[Sweep], list[str]]:
    """The sweeps of the length and rate that most have; notes name what is left out."""
    kinds: dict[Any, list[Sweep]] = {}
    for sweep in sweeps:
        kinds.setdefault((len(sweep.voltage), sweep.dt), []).append(sweep)
    most = max(kinds.values(), key=len)
    left = [sweep.name for sweep in sweeps if sweep not in most] if len(kinds) > 1 else []
    if left:
        notes = [*notes, f"left out, of another length: {', '.join(left)}"]
    return most, notes
