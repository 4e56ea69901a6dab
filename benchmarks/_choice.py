"""Options of a fit to a recording, chosen within what is fitted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._fi import curve
from neurodyn.biophysics import Fitted, Recording, fit
from neurodyn.biophysics.fitting.model import surprise

KERNELS: dict[str, dict[str, Any]] = {
    "two": {"currents": (8.0, 90.0), "thresholds": (10.0, 150.0), "lags": (5.0,)},
    "four": dict.fromkeys(("currents", "thresholds", "lags"), (2.0, 10.0, 50.0, 200.0)),
    "five": {
        "currents": (2.0, 10.0, 50.0, 300.0, 3000.0),
        "thresholds": (2.0, 10.0, 50.0, 300.0, 3000.0),
        "lags": (2.0, 10.0, 50.0, 200.0, 1000.0),
    },
}
"""Time constants to choose from, beside the defaults [ms]."""
OFFERED = {
    "repeats": {name: KERNELS[name] for name in ("two", "four")},
    "families": {name: KERNELS[name] for name in ("two", "five")},
}
"""Kernels of seconds need sweeps that begin in other states: ten seconds of one noise hardly tell
their traces from a constant, and a fit to them fails where the traces begin at 0."""
VOLTAGES = (0.001, 0.015, 0.06)
"""Weights of the voltage to choose from, beside the default."""
REFRACTORIES = (2.0, 8.0)
"""Refractory times to choose from, beside the default [ms]: those that are shorter than any
interval."""
KEPT = 0.7
"""Of the half that is fitted, what the choices are fitted to."""
LEAST = 40
"""Spikes, of which half are held out."""


def choice(make: Any, train: Recording, steps: int) -> tuple[str, dict[str, Any]]:
    """The options that do better than the defaults within `train`. Of repeats, fits to the first
    and to the last 70 %, by half of the steps, have to make the spikes of the rest likely, second
    by second; of families, a fit to two in three sweeps has to be near the f-I curve of all of
    them, step by step. (Likelihood is no guide there: with the recorded spikes given, a voltage far
    from the recorded one makes them likelier, and by itself such a cell fires at wrong rates.)

    First the kernels are chosen, then the weight of the voltage, then the refractory time. An
    option is taken if it is better than what there is by more than the standard error of the
    difference: the best of several that are level is the best by luck. With too few spikes for
    this, the defaults.
    """
    if any(sum(map(len, part.spikes)) < LEAST for part, _ in folds(train)):
        return "defaults", {}
    shortest = min(np.diff(times).min() for times in train.spikes if len(times) > 1)
    stages: list[dict[str, dict[str, Any]]] = [
        OFFERED["repeats" if repeated(train) else "families"],
        {f"voltage {weight}": {"voltage": weight} for weight in VOLTAGES},
        {f"refractory {time:g}": {"refractory": time} for time in REFRACTORIES if time < shortest},
    ]
    names: list[str] = []
    chosen: dict[str, Any] = {}
    now = losses(make, train, steps, {})
    print(f"  defaults: {now.mean():.3f}", flush=True)
    for stage in filter(None, stages):
        found = {
            name: losses(make, train, steps, chosen | options) for name, options in stage.items()
        }
        gains = {name: better(now, values) for name, values in found.items()}
        for name, (gain, error) in gains.items():
            print(f"  {name}: {found[name].mean():.3f}, gain {gain:.3f} +- {error:.3f}", flush=True)
        best, (gain, error) = max(gains.items(), key=lambda item: item[1][0])
        if gain > error:
            names.append(best)
            chosen, now = chosen | stage[best], found[best]
    return ", ".join(names) or "defaults", chosen


def repeated(train: Recording) -> bool:
    """Whether all sweeps are repeats of one current."""
    return len(train.repeats) == 1


def folds(train: Recording) -> list[tuple[Recording, Recording]]:
    """Parts to fit, and what is left: of repeats the first and the last 70 %, of families two in
    three sweeps."""
    if not repeated(train):
        return [(train[[k for k in range(train.sweeps) if k % 3 != 1]], train[1::3])]
    later, first = train.split((1 - KEPT) * train.duration)[::-1]
    return [train.split(KEPT * train.duration), (later, first)]


def losses(make: Any, train: Recording, steps: int, options: dict[str, Any]) -> NDArray[np.float64]:
    """How bad fits to parts of a recording are, second by second or step by step."""
    steps = max(steps // 2, 1) if repeated(train) else steps
    found: list[NDArray[np.float64]] = []
    for part, rest in folds(train):
        fitted = fit(make(), part, steps=steps, progress=False, **options)
        if repeated(train):
            found.append(by_the_second(fitted, rest))
        else:
            steps_off = [abs(model / real - 1) for _, _, real, model in curve(fitted, train)]
            found.append(np.array(steps_off))
    return np.concatenate(found)


def better(old: NDArray[np.float64], new: NDArray[np.float64]) -> tuple[float, float]:
    """By how much losses fell on average, and the standard error of that."""
    error = (old - new).std(ddof=1) / math.sqrt(len(old)) if len(old) > 1 else math.inf
    return float((old - new).mean()), float(error)


def by_the_second(fitted: Fitted, rest: Recording) -> NDArray[np.float64]:
    """The negative log-likelihood of each second, in nats per spike of an average second."""
    model, rest = fitted.model, rest.coarser(fitted.model.dt)
    data = model.prepare(rest)
    with torch.no_grad():
        _, rate, _ = model.run(data)
    n = round(1000 / model.dt)
    sums = []
    for rows in (slice(at, at + n) for at in range(0, len(rate) - n + 1, n)):
        part = data._replace(spikes=data.spikes[rows], live=data.live[rows])
        sums.append(float(surprise(rate[rows], part)))
    return np.array(sums) * len(sums) / float(data.spikes.sum())
