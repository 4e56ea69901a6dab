"""Waves of Igor Pro (.ibw): one file for each channel of a sweep."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodyn.biophysics.recordings.sweep import Sweep
from neurodyn.biophysics.recordings.units import (
    CURRENT,
    VOLTAGE,
    current_unit,
    scaled,
    voltage_unit,
)
from neurodyn.errors import require

CHANNEL = re.compile(r"ch(\d+)", re.IGNORECASE)


class Wave(NamedTuple):
    """A channel of a sweep."""

    path: Path
    values: NDArray[np.float64]
    dt: float | None
    """[ms]"""
    unit: str
    """As the file says; often it does not."""


def read_folder(folder: Path) -> tuple[list[Sweep], list[str]]:
    """All pairs of channels in a folder, by their names."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".ibw")
    if not paths:
        raise ValueError(f"{folder}: expected .ibw files, got none (other formats: name the file)")
    pairs: dict[str, list[Path]] = {}
    for path in paths:
        pairs.setdefault(_key(path), []).append(path)
    return _sweeps(pairs)


def read_pair(path: Path) -> tuple[list[Sweep], list[str]]:
    """One sweep: a channel, and the other one beside it."""
    same = [p for p in sorted(path.parent.glob("*.ibw")) if _key(p) == _key(path)]
    return _sweeps({_key(path): same})


def _key(path: Path) -> str:
    """The name of a sweep: that of its files without the channel."""
    return re.sub(r"__+", "_", CHANNEL.sub("", path.stem, count=1))


def _sweeps(pairs: dict[str, list[Path]]) -> tuple[list[Sweep], list[str]]:
    found, units = [], set()
    for key, paths in pairs.items():
        if len(paths) != 2:
            names = ", ".join(path.name for path in paths)
            raise ValueError(
                f"{paths[0].parent}: expected two channels of {key}, such as {key}_ch2 and "
                f"{key}_ch3, got {names}"
            )
        current, voltage, both = _told_apart(*map(_wave, paths))
        units.add(both)
        if len(current.values) != len(voltage.values) or current.dt != voltage.dt:
            raise ValueError(
                f"{current.path}: expected as many samples as in {voltage.path.name}, "
                f"{len(voltage.values)} at {voltage.dt} ms, got {len(current.values)} at "
                f"{current.dt} ms"
            )
        found.append(
            Sweep(
                key,
                scaled(current.values, both[0], CURRENT),
                scaled(voltage.values, both[1], VOLTAGE),
                voltage.dt,
            )
        )
    said = "; ".join(f"current {i}, voltage {v}" for i, v in sorted(units))
    return found, [f"units of the files, by magnitude where they do not say: {said}"]


def _told_apart(a: Wave, b: Wave) -> tuple[Wave, Wave, tuple[str, str]]:
    """Which channel is the current, which the voltage, and their units."""
    for voltage, current in ((a, b), (b, a)):
        V = voltage.unit if voltage.unit in VOLTAGE else voltage_unit(voltage.values)
        Other = current.unit if current.unit in VOLTAGE else voltage_unit(current.values)
        J = current.unit if current.unit in CURRENT else current_unit(current.values)
        if V and J and not Other and voltage.unit not in CURRENT:
            return current, voltage, (J, V)
    raise ValueError(
        f"{a.path}, {b.path.name}: expected one channel with a membrane potential (a median of "
        f"-130 to -20 mV) and one with a current, got medians of {np.median(a.values):.3g} and "
        f"{np.median(b.values):.3g} in unknown units"
    )


def _wave(path: Path) -> Wave:
    igor = require("igor2.binarywave", "recordings")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wave: Any = igor.load(path)["wave"]
        header, values = wave["wave_header"], np.asarray(wave["wData"], dtype=np.float64)
        step = float(np.ravel(header["sfA"] if "sfA" in header else header["hsA"])[0])
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as .ibw; is it whole? ({error})") from error
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"{path}: expected one channel (T,), got {values.shape}")
    unit = (wave.get("data_units") or b"").decode("ascii", "replace")
    # Igor's step is 1 where none was set.
    return Wave(path, values, None if step in (0.0, 1.0) else 1e3 * step, unit)
