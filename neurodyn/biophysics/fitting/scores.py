"""How alike spike trains are: coincidences, and variance explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Train = NDArray[np.float64]
"""Spike times [ms]."""
WINDOW = 4.0
"""Spikes coincide within this time [ms]."""
SMOOTH = 10.0
"""Standard deviation of the bell that rates are smoothed with [ms] (Teeter et al. 2018)."""


def coincidences(a: Train, b: Train, window: float = WINDOW) -> int:
    """How many spikes of two trains pair up within a window, each at most once."""
    i = j = found = 0
    while i < len(a) and j < len(b):
        gap = a[i] - b[j]
        if abs(gap) <= window:
            found, i, j = found + 1, i + 1, j + 1
        elif gap < 0:
            i += 1
        else:
            j += 1
    return found


def gamma(model: Train, data: Train, duration: float, window: float = WINDOW) -> float:
    """The coincidence factor (Jolivet et al., J. Neurosci. Methods 2008): 1 for trains that agree,
    0 for a Poisson train of the model's rate `r`:

        (coincidences - 2 r window N_data) / ((N_data + N_model) / 2) / (1 - 2 r window)
    """
    if len(model) + len(data) == 0:
        return 0.0
    chance = 2 * window * len(model) / duration
    surplus = coincidences(model, data, window) - chance * len(data)
    return float(surplus / (0.5 * (len(data) + len(model))) / (1 - chance))


def gamma_ceiling(repeats: Sequence[Train], duration: float) -> float | None:
    """The mean factor of all pairs of repeats; None for a single one."""
    pairs = [(a, b) for a in range(len(repeats)) for b in range(len(repeats)) if a != b]
    values = [gamma(repeats[a], repeats[b], duration) for a, b in pairs]
    return float(np.mean(values)) if values else None


def md_star(model: Sequence[Train], data: Sequence[Train]) -> float | None:
    """How alike two sets of trains are (Naud et al., Neural Comput. 2011): coincidences across
    sets over those within, `2 <m, d> / (<m, m> + <d, d>)`, pairs of a train with itself left out.
    1 for a model that draws from the same distribution, however noisy that is."""
    if len(model) < 2 or len(data) < 2:
        return None
    within = _overlap(model, model, same=True) + _overlap(data, data, same=True)
    return 2 * _overlap(model, data, same=False) / within if within else None


def _overlap(a: Sequence[Train], b: Sequence[Train], *, same: bool) -> float:
    found = [
        (np.searchsorted(b[j], a[i] + WINDOW, "right") - np.searchsorted(b[j], a[i] - WINDOW)).sum()
        for i in range(len(a))
        for j in range(len(b))
        if not (same and i == j)
    ]
    return float(np.mean(found))


def explained_variance(
    model: Sequence[Train], data: Sequence[Train], duration: float
) -> float | None:
    """The share of the variance that a model explains of what can be explained, as the Allen
    Institute computes it for its GLIF models (Teeter et al., Nat. Commun. 2018, and the code
    published with it). With `e(a, b) = (var a + var b - var(a - b)) / (var a + var b)`,

        mean of e(m, d) over trains m of the model and repeats d
        / mean of e(mean of all repeats, d) over repeats d

    All trains are smoothed by a bell of `SMOOTH` ms. 1 for a model that fires as the repeats do on
    average. None without repeats."""
    if len(data) < 2:
        return None
    a, b = ([_smoothed(train, duration) for train in each] for each in (model, data))
    across = np.mean([_alike(x, y) for x in a for y in b])
    within = np.mean([_alike(np.mean(b, 0), y) for y in b])
    return float(across / within) if within > 0 else None


def _smoothed(train: Train, duration: float) -> NDArray[np.float64]:
    counts = np.histogram(train, np.arange(0.0, duration + 1.0))[0]
    reach = np.arange(-4 * SMOOTH, 4 * SMOOTH + 1)
    return np.convolve(counts, np.exp(-0.5 * (reach / SMOOTH) ** 2), "same")


def _alike(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    total = a.var() + b.var()
    return float((total - (a - b).var()) / total) if total else 0.0
