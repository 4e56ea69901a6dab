"""Frames: events counted in pixels and timesteps."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from neurodyn.errors import check

Array = np.ndarray[Any, Any]

By = Literal["count", "time"]


def height_and_width(side: int | tuple[int, int]) -> tuple[int, int]:
    """The height and width of a square of this side, or of a rectangle."""
    height, width = (side, side) if isinstance(side, int) else side
    return height, width


def event_frames(
    events: Array,
    side: int | tuple[int, int],
    steps: int,
    by: By,
    start_ms: float = 0.0,
    duration_ms: float | None = None,
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Events counted in frames `(T, 2, H, W)`, uint8; a pixel's count stops at 255.

    Args:
        events: in order of time.
        side: of the sensor in pixels, or its height and width.
        steps: number of frames T.
        by: "count" gives every frame the same number of events and leaves out the last few that do
            not fill another; "time" gives it the same length of time. A frame without events is
            empty.
        start_ms: with `duration_ms`, the start of the first frame, in milliseconds after the
            recording's first event.
        duration_ms: the length of all frames together, in milliseconds. Frames of two recordings
            then last equally long; events outside are left out. Unless given, the frames by time
            divide the whole recording, the last event included.

    Raises:
        ValueError: there are fewer events than frames of equal counts, some lie outside the sensor,
            or `start_ms` or `duration_ms` do not suit `by`.
    """
    check_window(by, start_ms, duration_ms)
    if by == "count" and len(events) < steps:
        raise ValueError(f"found {len(events)} events, expected one for each of {steps} frames")
    height, width = height_and_width(side)
    for axis, size in (("x", width), ("y", height)) if len(events) else ():
        low, high = events[axis].min(), events[axis].max()
        if low < 0 or high >= size:
            raise ValueError(f"found {axis} from {low} to {high}, expected 0 to {size - 1}")
    if by == "count":
        frame = np.arange(len(events)) // (len(events) // steps)
    else:
        frame = _frames_of(events["t"], steps, start_ms, duration_ms)
    shape = (steps, 2, height, width)
    inside = (frame >= 0) & (frame < steps)
    places = np.stack([frame, events["p"], events["y"], events["x"]])[:, inside]
    counts = np.bincount(np.ravel_multi_index(tuple(places), shape), minlength=math.prod(shape))
    return np.minimum(counts, 255).astype(np.uint8).reshape(shape)


def check_window(by: By, start_ms: float, duration_ms: float | None) -> None:
    """Refuse a window that is not one, or that frames of equal counts cannot have."""
    if duration_ms is None:
        if start_ms:
            raise ValueError(f"start_ms: expected duration_ms beside it, got {start_ms} alone")
        return
    if by != "time":
        raise ValueError(f"duration_ms: expected by='time', got by={by!r}")
    check("start_ms", start_ms, 0, 1e9)
    check("duration_ms", duration_ms, 1e-3, 1e9)


def _frames_of(t: Array, steps: int, start_ms: float, duration_ms: float | None) -> Array:
    """The frame in which each time in microseconds lies; below 0 or from T on, it is in none."""
    if not len(t):
        return np.empty(0, np.int64)
    since = t - t[0]
    if duration_ms is None:
        if int(since[-1]) * steps > np.iinfo(np.int64).max:
            raise ValueError(f"found {since[-1]:,} us between two events, expected a recording")
        # The last event ends the last frame; Tonic's frames leave it out.
        return np.asarray(np.minimum(since * steps // max(since[-1], 1), steps - 1))
    start, duration = round(start_ms * 1000), round(duration_ms * 1000)
    # Far outside, the product would not fit.
    since = np.clip(since - start, -1, duration)
    return np.asarray(since * steps // duration)
