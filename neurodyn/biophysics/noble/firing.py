"""From which current on a model fires, and how its rate grows from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Respond = Callable[[Tensor, Tensor], list[Any]]
"""`(models (n,), amplitudes [nA] (n,)) ->` the spike times of each in a step of current [ms]."""

ABOVE = (0.004, 0.008, 0.012, 0.016, 0.02)
"""The slope is that of the rates at so much current above threshold [nA]."""


def rates(respond: Respond, models: Tensor, amplitude: Tensor, duration: float) -> Tensor:
    """Firing rates [Hz] during a step of current, `(n,)`: the inverse of the mean interval between
    spikes; a single spike counts as one in the whole step.

    Args:
        respond: gives the spike times of models, simulated or predicted.
        models: `(n,)`.
        amplitude: of the step [nA], `(n,)`.
        duration: of the step [ms].
    """
    found = []
    for times in respond(models, amplitude):
        several = len(times) > 1
        interval = (times[-1] - times[0]) / (len(times) - 1) if several else duration
        found.append(1e3 / interval if len(times) else 0.0)
    return torch.tensor(found, dtype=torch.float32)


def thresholds(
    respond: Respond, models: Tensor, low: float, high: float, halvings: int = 14
) -> Tensor:
    """The smallest currents [nA] that make models fire, `(n,)`, by bisection: too large by at most
    `(high - low) / 2^halvings`. NaN for a model that fires at `low`, or does not at `high`."""

    def fires(amplitude: Tensor) -> Tensor:
        return torch.tensor([len(times) > 0 for times in respond(models, amplitude)])

    below, above = torch.full((len(models),), low), torch.full((len(models),), high)
    known = fires(above) & ~fires(below)
    for _ in range(halvings):
        middle = (below + above) / 2
        fired = fires(middle)
        below, above = torch.where(fired, below, middle), torch.where(fired, middle, above)
    return torch.where(known, above, torch.nan)


def slopes(respond: Respond, models: Tensor, threshold: Tensor, duration: float) -> Tensor:
    """Slopes [Hz/nA] of the curve of rate against current just above threshold, `(n,)`: of the
    least-squares line through rates at up to .02 nA above."""
    above = torch.tensor(ABOVE)
    many = models.repeat_interleave(len(above))
    found = rates(respond, many, (threshold[:, None] + above).flatten(), duration)
    centred = above - above.mean()
    return (found.reshape(len(models), -1) @ centred) / centred.square().sum()
