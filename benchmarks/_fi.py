"""Spikes against current: of a recording, and of what was fitted to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from neurodyn.biophysics import Fitted, Recording

STRETCH = 100.0
"""A step of current lasts as long, at least [ms]."""


def curve(fitted: Fitted, part: Recording) -> list[tuple[int, float, int, float]]:
    """Sweep, current [nA], recorded spikes and the mean of 10 random predictions, of all steps with
    enough spikes."""
    runs, found = [fitted.simulate(part, seed=seed) for seed in range(10)], []
    for k, first, last, level in stretches(part):
        real, *counts = (
            np.sum((t >= first) & (t < last)) for t in (part.spikes[k], *(run[k] for run in runs))
        )
        if real >= 5:
            found.append((k, level, int(real), float(np.mean(counts))))
    return found


def off(curve: list[tuple[int, float, int, float]]) -> float | None:
    """The mean error of the counts."""
    errors = [abs(model / real - 1) for _, _, real, model in curve]
    return float(np.mean(errors)) if errors else None


def stretches(recording: Recording) -> Iterator[tuple[int, float, float, float]]:
    """Where the current stays the same: sweep, from when to when [ms], and how strong it is."""
    calm = recording.coarser(5.0)
    least = max(0.02 * float(np.ptp(calm.current)), 0.005)
    for k in range(calm.sweeps):
        current = calm.current[:, k]
        cuts = np.nonzero(np.abs(np.diff(current)) > least)[0] + 1
        for first, last in itertools.pairwise((0, *cuts, len(current))):
            if (last - first) * calm.dt >= STRETCH:
                yield k, first * calm.dt, last * calm.dt, float(np.median(current[first:last]))
