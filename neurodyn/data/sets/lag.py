"""A task about time only: the class is how long after one spike the other comes."""

from __future__ import annotations

from typing import Any

import torch

from neurodyn.data.samples import Batch
from neurodyn.data.sequences import SequenceData
from neurodyn.errors import check


class LagTask(SequenceData):
    """Two channels: the first spikes once, at a random time, the second `tau` steps later; the
    class is `tau`, from 0 to `lags - 1`.

    A neuron that delays the first spike by `tau` sees a coincidence. One that does not must read
    the lag from a fading trace. The samples are made, not read: `root` is not used, and the same
    options always make the same samples. The first spike's time does not depend on the class.

    Args:
        lags: number of classes.
        steps: length of a sample; the first spike comes at one of the first `steps - lags + 1`.
        samples: number of training samples, validation included; the test set has a quarter as
            many.
        noise: probability of a stray spike per channel and step.
        options: as `SequenceData`.
    """

    shape = (2,)

    def __init__(
        self,
        lags: int = 20,
        steps: int = 60,
        samples: int = 4000,
        noise: float = 0.0,
        **options: Any,
    ) -> None:
        check("lags", lags, 2)
        check("steps", steps, lags)
        check("samples", samples, 4 * lags)
        check("noise", noise, 0, 1)
        self.classes, self.steps = lags, steps
        self.samples, self.noise = samples, noise
        super().__init__(**options)

    def read(self, train: bool) -> Batch:
        rng = torch.Generator().manual_seed(0 if train else 1)
        count = self.samples if train else self.samples // 4
        lag = torch.arange(count) % self.classes
        first = torch.randint(self.steps - self.classes + 1, (count,), generator=rng)
        spikes = torch.rand(count, self.steps, 2, generator=rng) < self.noise
        row = torch.arange(count)
        spikes[row, first, 0] = True
        spikes[row, first + lag, 1] = True
        return spikes.byte(), lag
