"""Axon's .abf, Neurodata Without Borders' .nwb, and text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.biophysics.recordings.sweep import Sweep
from neurodyn.biophysics.recordings.units import CURRENT, VOLTAGE, scaled
from neurodyn.errors import require


def read_abf(path: Path) -> tuple[list[Sweep], list[str]]:
    """All sweeps of the first channel that is a voltage. The current is the command's."""
    pyabf = require("pyabf", "recordings")
    try:
        file = pyabf.ABF(str(path))
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as .abf; is it whole? ({error})") from error
    voltages = [k for k, unit in enumerate(file.adcUnits) if unit in VOLTAGE]
    if not voltages:
        raise ValueError(f"{path}: expected a channel in mV, got {', '.join(file.adcUnits)}")
    found = []
    for k in range(file.sweepCount):
        file.setSweep(k, channel=voltages[0])
        current = np.array(file.sweepC, dtype=np.float64)
        if not np.isfinite(current).all():
            raise ValueError(
                f"{path}: its current is not in the file (protocol {file.protocol!r}: a stimulus "
                "file of its own)"
            )
        if file.sweepUnitsC not in CURRENT:
            raise ValueError(f"{path}: expected a command in pA, got {file.sweepUnitsC}")
        voltage = np.array(file.sweepY, dtype=np.float64)
        found.append(
            Sweep(
                f"{path.stem} sweep {k}",
                scaled(current, file.sweepUnitsC, CURRENT),
                scaled(voltage, file.sweepUnitsY, VOLTAGE),
                1e3 / file.dataRate,
                1e3 * file.sweepIntervalSec * k,
            )
        )
    return found, [f"protocol: {file.protocol}; the current is the command"]


def read_nwb(path: Path) -> tuple[list[Sweep], list[str]]:
    """All responses under current clamp with the stimulus of their number."""
    h5py = require("h5py", "recordings")
    try:
        with h5py.File(path, "r") as file:
            return _series(path, file)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as .nwb; is it whole? ({error})") from error


def _series(path: Path, file: Any) -> tuple[list[Sweep], list[str]]:
    responses = _numbered(file, "acquisition", "CurrentClampSeries")
    stimuli = _numbered(file, "stimulus/presentation", "CurrentClampStimulusSeries")
    found = []
    for number in sorted(responses.keys() & stimuli.keys()):
        response, stimulus = responses[number], stimuli[number]
        voltage, current = _values(response) * 1e3, _values(stimulus) * 1e9
        if len(current) != len(voltage):
            raise ValueError(
                f"{path}: expected as many samples of current as of voltage in sweep {number}, "
                f"got {len(current)} and {len(voltage)}"
            )
        start = response.get("starting_time")
        rate = None if start is None else start.attrs.get("rate")
        name = response.name.rpartition("/")[2]
        found.append(Sweep(name, current, voltage, 1e3 / float(rate) if rate else None))
    if not found:
        raise ValueError(
            f"{path}: expected CurrentClampSeries with stimuli of the same numbers, got "
            f"{len(responses)} responses and {len(stimuli)} stimuli"
        )
    return found, []


def _numbered(file: Any, group: str, kind: str) -> dict[int, Any]:
    """The series of a kind, by sweep number: their own, or that at the end of their name."""
    found = {}
    for name, series in file[group].items() if group in file else ():
        if _text(series.attrs.get("neurodata_type", "")) != kind:
            continue
        number = series["sweep_number"][()] if "sweep_number" in series else None
        number = series.attrs.get("sweep_number", number)
        end = re.search(r"(\d+)$", name)
        if number is None and end:
            number = int(end[1])
        if number is not None:
            found[int(number)] = series
    return found


def _values(series: Any) -> Any:
    """In volts or amperes."""
    data = series["data"]
    factor, offset = (data.attrs.get(k, v) for k, v in (("conversion", 1.0), ("offset", 0.0)))
    return np.asarray(data[()], dtype=np.float64) * float(factor) + float(offset)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def read_text(path: Path) -> tuple[list[Sweep], list[str]]:
    """Columns of time [ms], current [nA] and voltage [mV], with or without a line of names."""
    try:
        lines = path.read_text().splitlines()
        separator = "," if lines and "," in lines[-1] else None
        head = bool(lines) and not _numbers(lines[0], separator)
        table = np.loadtxt(lines[head:], delimiter=separator, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected columns of numbers, got {error}") from error
    if table.shape[1] != 3 or len(table) < 2:
        raise ValueError(
            f"{path}: expected three columns, time [ms], current [nA] and voltage [mV], got "
            f"{table.shape[1]} columns of {len(table)} numbers"
        )
    steps = np.diff(table[:, 0])
    if not (steps > 0).all() or steps.max() > 1.5 * steps.min():
        raise ValueError(f"{path}: expected times at an even distance in the first column [ms]")
    return [Sweep(path.stem, table[:, 1], table[:, 2], float(np.median(steps)))], []


def _numbers(line: str, separator: str | None) -> bool:
    try:
        [float(word) for word in line.split(separator)]
    except ValueError:
        return False
    return True
