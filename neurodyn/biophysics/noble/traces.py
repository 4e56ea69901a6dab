"""Simulated traces, kept in the cache folder as they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from neurodyn.biophysics.noble.stimulus import Steps
from neurodyn.errors import check

SHARD = 1000
"""Traces in a file."""


class Simulated(Protocol):
    """A family as traces need it (`neurodyn.biophysics.noble.Family`)."""

    step: float

    @property
    def features(self) -> Tensor: ...
    def run(self, models: Tensor, current: Tensor, dt: float, every: int = 1) -> Tensor: ...
    def describe(self) -> dict[str, Any]: ...


@dataclass
class Traces:
    """Traces of the models of a family, one per row.

    Args:
        V: potentials [mV], `(N, T)`; may lie in a file.
        amplitude: of the step of current [nA], `(N,)`.
        onset: of the step [ms], `(N,)`.
        model: which one, `(N,)`.
        features: of the model: threshold [nA] and slope [Hz/nA], `(N, 2)`.
        stimulus: what was injected.
        dt: between samples [ms], the first at `dt`.
    """

    V: Tensor
    amplitude: Tensor
    onset: Tensor
    model: Tensor
    features: Tensor
    stimulus: Steps
    dt: float

    def __len__(self) -> int:
        return len(self.amplitude)

    @property
    def times(self) -> Tensor:
        """The times of the samples [ms], `(T,)`."""
        return self.stimulus.times(self.dt)

    def current(self, dt: float | None = None) -> Tensor:
        """The injected current [nA], `(T, N)`; `dt` for another grid."""
        return self.stimulus.current(self.amplitude, self.onset, dt or self.dt)

    def subset(self, rows: Tensor) -> Traces:
        """Some of the traces."""
        names = ("V", "amplitude", "onset", "model", "features")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def make_traces(
    family: Simulated,
    stimulus: Steps,
    traces: int,
    dt: float,
    models: Tensor,
    seed: int,
) -> Traces:
    """Traces of some models of a family, each equally often (see `Family.simulate`)."""
    from neurodyn.data.cache import cached

    check("traces", traces, 1)
    step = family.step
    every = round(dt / step)
    if every < 1 or abs(every * step - dt) > 1e-9:
        raise ValueError(f"dt: expected a multiple of the simulation's step {step:g}, got {dt:g}")
    generator = torch.Generator().manual_seed(seed)
    amplitude, onset = stimulus.draw(traces, dt, generator)
    model = models[torch.arange(traces) % len(models)]
    length = len(stimulus.times(dt))
    shards = []
    for start in range(0, traces, SHARD):
        rows = slice(start, min(start + SHARD, traces))

        def simulated(rows: slice = rows) -> Iterator[Any]:
            current = stimulus.current(amplitude[rows], onset[rows], step)
            yield from family.run(model[rows], current, step, every).T.numpy()

        settings = {
            "family": family.describe(),
            "stimulus": asdict(stimulus),
            "dt": [dt, step],
            "rows": [rows.start, rows.stop],
            "models": model[rows].tolist(),
            "amplitude": amplitude[rows].tolist(),
            "onset": onset[rows].tolist(),
        }
        shape = (rows.stop - rows.start, length)
        shards.append(cached("traces", settings, [], shape, simulated(), np.float32))
    V = shards[0] if len(shards) == 1 else torch.cat(shards)
    return Traces(V, amplitude, onset, model, family.features[model], stimulus, dt)
