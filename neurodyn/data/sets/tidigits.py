"""N-TIDIGITS18: spoken digits recorded with a silicon cochlea."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from neurodyn.data import catalogue
from neurodyn.data.cache import cached
from neurodyn.data.formats.reading import reading
from neurodyn.data.formats.spikes import Array, bin_spikes, hdf5, texts
from neurodyn.data.samples import Batch
from neurodyn.data.sets.heidelberg import SpikeData

DIGITS = "o123456789z"
"""How the last part of a recording's name spells its digits: "oh", one to nine, "zero"."""


class NTIDIGITS(SpikeData):
    """The single digits of N-TIDIGITS18 (Anumula et al. 2018): "oh", zero to nine, spoken to a
    silicon cochlea of 64 channels. File: `NTIDIGITS/n-tidigits.hdf5`; its strings of several
    digits are left out.

    Args:
        root: folder that holds the data sets, each in Tonic's layout.
        steps: number of timesteps; 250 of 5 ms as in arXiv:2510.25696.
        step_ms: length of a timestep in milliseconds.
        channels: 64 or a divisor of it.
        options: as `SpikeData`.
    """

    classes = 11
    recorded = 64
    source = catalogue.NTIDIGITS

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        steps: int = 250,
        step_ms: float = 5.0,
        channels: int = 64,
        **options: Any,
    ) -> None:
        super().__init__(root, steps=steps, step_ms=step_ms, channels=channels, **options)

    def read(self, train: bool) -> Batch:
        part = "train" if train else "test"
        path = self.find("n-tidigits.hdf5")
        names = texts(path, f"{part}_labels").tolist()
        said = {name: name.rsplit("-", 1)[-1] for name in names}
        single = [name for name in names if len(said[name]) == 1 and said[name] in DIGITS]

        def counts() -> Iterator[Array]:
            parts = ("timestamps", "addresses")
            recordings = hdf5(path, *(f"{part}_{of}/{name}" for name in single for of in parts))
            for name, times, units in zip(single, recordings, recordings, strict=True):
                with reading(path, "spikes that can be counted", name):
                    yield bin_spikes(np.ravel(times), np.ravel(units), self.bins)

        shape = (len(single), *self.sample_shape)
        values = cached(f"n-tidigits-{part}", asdict(self.bins), [path], shape, counts())
        return values, torch.tensor([DIGITS.index(said[name]) for name in single])
