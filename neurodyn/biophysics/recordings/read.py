"""Which reader a path needs, and sweeps put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodyn.biophysics.recordings.recording import Recording
from neurodyn.errors import unknown

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


def read(
    path: Path, *, dt: float | None = None, protocol: str | None = None, threshold: float = 0.0
) -> Recording:
    """See `Recording.read`."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    sweeps, notes = _reader(path)(path)
    if protocol is not None:
        sweeps = _chosen(path, sweeps, protocol)
    sweeps, notes = _of_one_kind(sweeps, notes)
    steps = {dt if sweep.dt is None else sweep.dt for sweep in sweeps}
    if None in steps:
        raise ValueError(f"{path}: it does not say its sampling rate; give dt=... [ms]")
    try:
        return Recording(
            np.stack([sweep.current for sweep in sweeps], 1),
            np.stack([sweep.voltage for sweep in sweeps], 1),
            steps.pop(),
            threshold=threshold,
            names=[sweep.name for sweep in sweeps],
            notes=notes,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
