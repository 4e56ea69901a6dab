"""The one spike train that agrees best with many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodyn.biophysics.fitting.scores import WINDOW, Train, factor

GRID = 0.5
"""Its spikes lie at multiples of this time [ms]."""


def consensus(runs: Sequence[Train], duration: float, window: float = WINDOW) -> Train:
    """The train that coincides best with the runs of a model that fires at random: what the model
    says if it is asked for one train.

    Spikes are added one after the other, each where most runs have a spike within the window that
    no added one has paired with yet. Of the trains on this way, the one with the highest mean
    coincidence factor is kept.

    Args:
        runs: spike times of each run [ms].
        duration: of a run [ms].
        window: spikes coincide within this time [ms].
    """
    times = np.concatenate(runs)
    order = np.argsort(times)
    owner = np.repeat(np.arange(len(runs)), [len(run) for run in runs])[order]
    times, free = times[order], np.ones(len(times), dtype=bool)
    box, bins = np.ones(2 * round(window / GRID) + 1), round(duration / GRID) + 1
    count, mean = len(runs), len(times) / len(runs)
    found: list[float] = []
    factors, paired = [0.0], 0
    while free.any():
        histogram = np.bincount(np.rint(times[free] / GRID).astype(int), minlength=bins)
        # The ends of the box are half a bin further out: look just beyond, and leave none behind.
        at = GRID * int(np.convolve(histogram, box, "same").argmax())
        first, last = np.searchsorted(times, (at - window - GRID, at + window + GRID))
        near = np.arange(first, last)[free[first:last]]
        near = near[np.argsort(np.abs(times[near] - at), kind="stable")]
        near = near[np.unique(owner[near], return_index=True)[1]]  # The nearest of each run.
        free[near] = False
        paired += len(near)
        found.append(at)
        factors.append(factor(paired / count, len(found), mean, duration, window))
    return np.sort(np.array(found[: int(np.argmax(factors))]))
