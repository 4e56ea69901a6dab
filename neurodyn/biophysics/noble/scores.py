"""How good a surrogate is: the table of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neurodyn.biophysics.noble.features import TABLE, efel_features
from neurodyn.biophysics.noble.loss import relative
from neurodyn.biophysics.noble.surrogate import Surrogate
from neurodyn.biophysics.noble.traces import Traces


@dataclass(frozen=True)
class Scores:
    """Errors of predicted traces, as shares of 1.

    Attributes:
        voltage: mean relative L2 error of the potential.
        features: mean absolute relative error of each feature of `TABLE`, over traces that have it
            in both. The spike count counts those that fire in both.
        firing, silent: how many traces fire, and do not.
        missed: how many of those that fire are predicted silent.
        false: how many of those silent are predicted to fire.
    """

    voltage: float
    features: dict[str, float]
    firing: int
    silent: int
    missed: int
    false: int

    @property
    def share_missed(self) -> float:
        """Of the firing traces."""
        return self.missed / max(self.firing, 1)


def scores(predicted: Tensor, traces: Traces) -> Scores:
    """The scores of predictions, `(T, N)` [mV], of traces."""
    V = traces.V.T
    stop = traces.onset + traces.stimulus.duration
    found, true = (
        efel_features(each, traces.times, traces.onset, stop, current=traces.amplitude)
        for each in (predicted, V)
    )
    count, wanted = found["spike_count"], true["spike_count"]
    both = (count > 0) & (wanted > 0)
    errors = {}
    for name, feature in TABLE.items():
        rows = both if name != "steady-state voltage" else torch.ones_like(both)
        gap = (found[feature] - true[feature]).abs() / true[feature].abs()
        errors[name] = gap[rows].nanmean().item()
    return Scores(
        voltage=relative(predicted, V, 2).mean().item(),
        features=errors,
        firing=int((wanted > 0).sum()),
        silent=int((wanted == 0).sum()),
        missed=int(((wanted > 0) & (count == 0)).sum()),
        false=int(((wanted == 0) & (count > 0)).sum()),
    )


def predicted(surrogate: Surrogate, traces: Traces, dt: float | None = None) -> Tensor:
    """What a surrogate predicts for traces, `(T, N)` [mV]; `dt` for another grid."""
    return surrogate.predict(traces.current(dt), traces.features)


HEADINGS = ("voltage", *TABLE, "firing, predicted silent", "silent, predicted to fire")


def row(name: str, found: Scores) -> str:
    """A row of a Markdown table under `HEADINGS`, in percent."""
    shares = [found.voltage, *found.features.values()]
    counts = [f"{found.missed} of {found.firing}", f"{found.false} of {found.silent}"]
    return f"| {name} | {' | '.join([*(f'{100 * s:.2f} %' for s in shares), *counts])} |"


def halved_grid(surrogate: Surrogate, traces: Traces) -> float:
    """How much predictions differ, at the points of the trained grid, on a grid twice as fine: the
    mean relative L2 distance."""
    coarse = predicted(surrogate, traces)
    fine = predicted(surrogate, traces, traces.dt / 2)
    return relative(fine[1::2], coarse, 2).mean().item()
