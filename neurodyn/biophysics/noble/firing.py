"""From which current on a model fires, and how its rate grows from there."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neurodyn.biophysics.simulate import spike_times

Run = Callable[[Tensor, Tensor, float], Tensor]
"""`(models (n,), current [nA] (T, n), dt [ms]) -> potential [mV] (T, n)`, after rest."""

STEP = 0.025
"""Time step of the simulations [ms]."""
DURATION = 400.0
"""Of the step of current [ms]."""
ABOVE = (0.004, 0.008, 0.012, 0.016, 0.02)
"""The slope is that of the rates at so much current above threshold [nA]."""


def rates(run: Run, models: Tensor, amplitude: Tensor) -> Tensor:
    """Firing rates [Hz] during a step of 400 ms: the inverse of the mean interval between spikes; a
    single spike counts as one in 400 ms.

    Args:
        run: simulates models.
        models: `(n,)`.
        amplitude: of the step [nA], `(n,)`.
    """
    steps = round(DURATION / STEP)
    V = run(models, amplitude[None].expand(steps, -1), STEP)
    found = []
    for times in spike_times(V, STEP):
        several = len(times) > 1
        interval = (times[-1] - times[0]) / (len(times) - 1) if several else DURATION
        found.append(1e3 / interval if len(times) else 0.0)
    return torch.tensor(found, dtype=torch.float32)


def thresholds(run: Run, models: Tensor, low: float, high: float, halvings: int = 14) -> Tensor:
    """The smallest currents [nA] that make models fire in 400 ms, `(n,)`, by bisection: too large
    by at most `(high - low) / 2^halvings`.

    Raises:
        ValueError: a model does not fire at `high`, or fires at `low`.
    """
    below, above = torch.full((len(models),), low), torch.full((len(models),), high)
    for end, fires in ((below, False), (above, True)):
        wrong = (rates(run, models, end) > 0) != fires
        if wrong.any():
            which = models[wrong][0].item()
            does = "does not fire" if fires else "fires"
            raise ValueError(
                f"threshold: expected one between {low:g} and {high:g} nA; model {which} {does} at "
                f"{end[0]:g} nA"
            )
    for _ in range(halvings):
        middle = (below + above) / 2
        fires = rates(run, models, middle) > 0
        below, above = torch.where(fires, below, middle), torch.where(fires, middle, above)
    return above


def slopes(run: Run, models: Tensor, threshold: Tensor) -> Tensor:
    """Slopes [Hz/nA] of the curve of rate against current just above threshold, `(n,)`: of the
    least-squares line through rates at up to .02 nA above."""
    above = torch.tensor(ABOVE)
    many = rates(
        run,
        models.repeat_interleave(len(above)),
        (threshold[:, None] + above).flatten(),
    ).reshape(len(models), -1)
    centred = above - above.mean()
    return (many @ centred) / centred.square().sum()
