"""Recordings of event cameras and other event sensors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.data.formats.child import decoded
from neurodyn.data.formats.reading import reading

Array = np.ndarray[Any, Any]

EVENT = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
"""An event: column, row, microseconds, brighter or darker; Tonic's names."""

LONGEST = 2**53
"""The latest time in microseconds: whole numbers up to it are exact as floats."""

AS_ARRAY = (
    "save its events with numpy.save as an array (N, 4) of x, y, polarity and milliseconds, and "
    "read the .npy file"
)

EVENT_STREAM = (
    f"found an Event Stream, which is not read here: open it with the package event_stream, "
    f"{AS_ARRAY}; "
)


def read_events(path: Path) -> Array:
    """The events of a recording in order of time, as `EVENT`s; the format follows from the suffix.

    | suffix | format |
    |---|---|
    | .bin | N-MNIST and N-Caltech101, 40 bits per event |
    | .aedat4 | AEDAT 4, as inivation's DV and Tonic's CIFAR10-DVS have it |
    | .aedat | AEDAT 2 of a DVS128, as CIFAR10-DVS was published |
    | .dat | DAT of Prophesee's cameras, as N-CARS has it |
    | .raw | EVT2 and EVT3 of Prophesee's cameras |
    | .mat | ST-MNIST: `spiketrain`, a row per taxel (-1, 0 or 1), then seconds |
    | .npy | columns x, y, p, t in milliseconds, as Tonic's DVS128 Gesture has it |

    Polarities are 0 and 1, or -1 and 1.

    Raises:
        ValueError: the suffix is unknown, the file is not of its format, or an event cannot be.
    """
    if path.suffix not in READERS:
        advice = EVENT_STREAM if path.suffix == ".es" else ""
        raise ValueError(f"{path}: {advice}expected a file of {', '.join(READERS)}")
    with reading(path, f"a complete {path.suffix} recording"):
        events = READERS[path.suffix](path)
        if not len(events):
            raise ValueError("found no events")
        return np.asarray(events[np.argsort(events["t"], kind="stable")])


def events_of(x: Array, y: Array, t: Array, p: Array) -> Array:
    """`EVENT`s from columns of numbers.

    Raises:
        ValueError: a number is not whole or finite, or does not fit its column.
    """
    largest = np.iinfo(np.int16).max
    columns = {"x": (x, largest), "y": (y, largest), "t": (t, LONGEST)}
    events = np.empty(len(x), EVENT)
    if not len(x):
        return events
    for name, (values, high) in columns.items():
        # Before any cast: 70,000 as 16 bits is 4,464, and NaN is a number.
        low = -high if name == "t" else 0
        if not (np.isfinite(values).all() and low <= values.min() <= values.max() <= high):
            span = f"{values.min()} to {values.max()}"
            raise ValueError(f"found {name} from {span}, expected {low} to {high}")
        if name != "t" and (values != np.trunc(values)).any():
            raise ValueError(f"found {name} that are not whole numbers")
        events[name] = np.rint(values)
    kinds = set(np.unique(p).tolist())
    if not (kinds <= {0, 1} or kinds <= {-1, 1}):
        raise ValueError(f"found polarities {sorted(kinds)[:9]}, expected 0 and 1, or -1 and 1")
    events["p"] = p > 0
    return events


def _bin(path: Path) -> Array:
    content = np.fromfile(path, np.uint8)
    if len(content) % 5:
        raise ValueError(f"found {len(content)} bytes, expected 5 for each event")
    x, y, *word = content.reshape(-1, 5).T.astype(np.int64)
    # A row of 240 does not mark an event, but that the clock of 23 bits has gone on by 2^13.
    tick = y == 240
    t = ((word[0] & 127) << 16 | word[1] << 8 | word[2]) + 2**13 * np.cumsum(tick)
    return events_of(x[~tick], y[~tick], t[~tick], (word[0] >> 7)[~tick])


def _aedat4(path: Path) -> Array:
    with path.open("rb") as file:
        start = file.read(18)
    begin, size = start[:14], int.from_bytes(start[14:], "little")
    # A header of no bytes makes the decoder panic.
    if begin != b"#!AER-DAT4.0\r\n" or not 8 <= size <= path.stat().st_size - 18:
        raise ValueError(f"begins with {start!r}, expected #!AER-DAT4.0 and a header")
    packets = list(decoded("aedat4", path, "events"))
    if not packets:
        return np.empty(0, EVENT)
    found = np.concatenate(packets)
    return events_of(found["x"], found["y"], found["t"], found["on"])


def _aedat2(path: Path) -> Array:
    content = path.read_bytes()
    if not content.startswith(b"#!AER-DAT2.0"):
        raise ValueError(f"begins with {content[:12]!r}, expected #!AER-DAT2.0")
    start = 0
    while content[start : start + 1] == b"#":
        start = content.index(b"\n", start) + 1
    pairs = np.frombuffer(content, ">u4", offset=start).reshape(-1, 2)
    address = pairs[:, 0]
    camera = re.search(rb"# AEChip: *([\w.]+)", content[:start])
    name = camera[1].decode().rsplit(".", 1)[-1] if camera else "DVS128"
    if "DVS128" not in name or (address >> 16).any():
        raise ValueError(
            f"found AEDAT 2 of a {name if camera else 'camera that is not named'}, expected a "
            f"DVS128's: save it as AEDAT 4 with inivation's DV, or {AS_ARRAY}"
        )
    # The DVS128's layout in jAER: columns count from the right, and 0 is brighter.
    x, y = 127 - (address >> 1 & 127).astype(np.int64), address >> 8 & 127
    return events_of(x, y, pairs[:, 1], ~address & 1)


def _dat(path: Path) -> Array:
    _header(path)
    return _prophesee(path, "dat")


def _raw(path: Path) -> Array:
    header = _header(path)
    version = re.search(rb"% (?:evt |format EVT)(\d[.\d]*)", header)
    if version is None or version[1] not in (b"2.0", b"3.0", b"2", b"3"):
        found = version[0].decode() if version else "no line that names the encoding"
        raise ValueError(
            f"found {found}, expected EVT2 or EVT3: convert it with Metavision's "
            "metavision_file_to_dat"
        )
    return _prophesee(path, f"evt{version[1][:1].decode()}")


def _header(path: Path) -> bytes:
    """The lines of text at the beginning of one of Prophesee's files."""
    header = b""
    with path.open("rb") as file:
        while file.peek(1)[:1] == b"%" and len(header) < 2**16:
            header += file.readline(4096)
    # The decoder would look for the end for ever.
    if header and not header.endswith(b"\n"):
        raise ValueError("found a header without its end")
    return header


def _prophesee(path: Path, encoding: str) -> Array:
    parts = list(decoded("prophesee", path, "events", encoding=encoding))
    if not parts:
        return np.empty(0, EVENT)
    return events_of(*(parts[0][name] for name in ("x", "y", "t", "p")))


def _mat(path: Path) -> Array:
    (trains,) = decoded("matlab", path, "events", name="spiketrain")
    if trains.ndim != 2 or len(trains) != 101 or trains.dtype.kind not in "iuf":
        raise ValueError(
            f"found spiketrain {trains.shape} of {trains.dtype}, expected (101, N) numbers: 100 "
            "taxels and the time"
        )
    # Taxels count along the rows of the 10x10 sensor.
    taxel, moment = np.nonzero(trains[:100])
    seconds = trains[100, moment]
    return events_of(taxel % 10, taxel // 10, seconds * 1e6, trains[taxel, moment])


def _npy(path: Path) -> Array:
    # Mapped: a header that claims more than the file has is refused before anything is allocated.
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "biuf":
        raise ValueError(
            f"found an array {table.shape} of {table.dtype}, expected (N, 4): x, y, polarity and "
            "milliseconds"
        )
    x, y, p, t = table.T
    return events_of(x, y, np.multiply(t, 1000, dtype=np.float64), p)


READERS = {
    ".bin": _bin,
    ".aedat4": _aedat4,
    ".aedat": _aedat2,
    ".dat": _dat,
    ".raw": _raw,
    ".mat": _mat,
    ".npy": _npy,
}
