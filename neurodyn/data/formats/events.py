"""Recordings of event cameras: their files, and frames of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurodyn.errors import require

Array = np.ndarray[Any, Any]

EVENT = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
"""An event: column, row, microseconds, brighter or darker; Tonic's names."""

By = Literal["count", "time"]


def read_events(path: Path) -> Array:
    """The events of a recording in order of time, as `EVENT`s; the format follows from the suffix.

    | suffix | format |
    |---|---|
    | .bin | N-MNIST and N-Caltech101, 40 bits per event |
    | .aedat4 | AEDAT 4, as inivation's DV and Tonic's CIFAR10-DVS have it |
    | .aedat | AEDAT 2 of a DVS128, as CIFAR10-DVS was published |
    | .npy | columns x, y, p, t in milliseconds, as Tonic's DVS128 Gesture has it |

    Raises:
        ValueError: the suffix is unknown, or the file is not of its format.
    """
    if path.suffix not in READERS:
        raise ValueError(f"{path}: expected a file of {', '.join(READERS)}")
    try:
        events = READERS[path.suffix](path)
    except ImportError:
        raise
    # A broken file can make a decoder raise anything.
    except Exception as error:
        raise ValueError(f"{path}: not a complete {path.suffix} recording ({error})") from error
    if not len(events):
        raise ValueError(f"{path}: found no events")
    return np.asarray(events[np.argsort(events["t"], kind="stable")])


def event_frames(events: Array, side: int, steps: int, by: By) -> np.ndarray[Any, Any]:
    """Events counted in frames `(T, 2, side, side)`, uint8; a pixel's count stops at 255.

    Args:
        events: in order of time.
        side: of the sensor in pixels.
        steps: number of frames T.
        by: "count" gives every frame the same number of events and leaves out the last few that do
            not fill another; "time" gives it the same length of time and counts all events.

    Raises:
        ValueError: there are fewer events than frames, or some lie outside the sensor.
    """
    if len(events) < steps:
        raise ValueError(f"found {len(events)} events, expected one for each of {steps} frames")
    for axis in ("x", "y"):
        low, high = events[axis].min(), events[axis].max()
        if low < 0 or high >= side:
            raise ValueError(f"found {axis} from {low} to {high}, expected 0 to {side - 1}")
    each = len(events) // steps
    since = events["t"] - events["t"][0]
    frame = {
        "count": np.arange(len(events)) // each,
        # The last event ends the last frame; Tonic's frames leave it out.
        "time": np.minimum(since * steps // max(since[-1], 1), steps - 1),
    }[by]
    shape = (steps, 2, side, side)
    places = np.stack([frame, events["p"], events["y"], events["x"]])[:, frame < steps]
    counts = np.bincount(np.ravel_multi_index(tuple(places), shape), minlength=math.prod(shape))
    return np.minimum(counts, 255).astype(np.uint8).reshape(shape)


def _bin(path: Path) -> Array:
    if path.stat().st_size % 5:
        raise ValueError(f"{path.stat().st_size} bytes, expected 5 for each event")
    return np.asarray(require("tonic.io", "events").read_mnist_file(path, EVENT))


def _aedat4(path: Path) -> Array:
    # Tonic's reader, which needs this package, imports it late.
    require("aedat", "events")
    found = require("tonic.io", "events").read_aedat4(path)
    return _events(found["x"], found["y"], found["t"], found["on"])


def _aedat2(path: Path) -> Array:
    content = path.read_bytes()
    if not content.startswith(b"#!AER-DAT2.0"):
        raise ValueError(f"begins with {content[:12]!r}, expected #!AER-DAT2.0")
    start = 0
    while content[start : start + 1] == b"#":
        start = content.index(b"\n", start) + 1
    pairs = np.frombuffer(content, ">u4", offset=start).reshape(-1, 2)
    address = pairs[:, 0]
    # The DVS128's layout in jAER: columns count from the right, and 0 is brighter.
    return _events(127 - (address >> 1 & 127), address >> 8 & 127, pairs[:, 1], ~address & 1)


def _npy(path: Path) -> Array:
    x, y, p, t = np.load(path, allow_pickle=False).T
    return _events(x, y, t * 1000, p)


def _events(x: Array, y: Array, t: Array, p: Array) -> Array:
    events = np.empty(len(x), EVENT)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events


READERS = {".bin": _bin, ".aedat4": _aedat4, ".aedat": _aedat2, ".npy": _npy}
