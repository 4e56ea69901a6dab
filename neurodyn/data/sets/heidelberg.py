"""Spike trains, and the Heidelberg data sets of spoken words as spikes: SHD and SSC."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from neurodyn.data import catalogue
from neurodyn.data.archive import Source
from neurodyn.data.augment.spikes import SpikeAugment
from neurodyn.data.cache import cached
from neurodyn.data.formats.spikes import Bins, read_counts, read_labels
from neurodyn.data.samples import Batch, Samples
from neurodyn.data.sequences import SequenceData
from neurodyn.errors import check


class SpikeData(SequenceData):
    """Base of the data sets of spike trains: spikes counted in steps and channels `(T, channels)`.

    Args:
        root: folder that holds the data sets, each in Tonic's layout.
        steps: number of timesteps T. Longer recordings are cut off; shorter ones end in silence.
        step_ms: length of a timestep in milliseconds.
        channels: number of channels; neighbouring channels of the recording are summed.
        augment: how training samples are varied.
        options: as `SampleData`.
    """

    source: ClassVar[Source]
    recorded: ClassVar[int]
    """Number of channels of the recordings."""

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        steps: int = 100,
        step_ms: float = 10.0,
        channels: int = 140,
        augment: SpikeAugment = SpikeAugment(),  # noqa: B008 - it cannot be changed
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        check("steps", steps, 1)
        if not 0 < step_ms < float("inf"):
            raise ValueError(f"step_ms: expected milliseconds above 0, got {step_ms}")
        if channels < 1 or self.recorded % channels:
            raise ValueError(f"channels: expected a divisor of {self.recorded}, got {channels}")
        self.shape, self.steps, self.step_ms = (channels,), steps, step_ms
        augment.check(self.sample_shape)
        self.augment = augment

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        sequences, labels = super().prepare(samples, labels, seed)
        if seed is not None:
            sequences, labels = self.augment(sequences, labels, seed, self.classes)
        return sequences, labels

    @property
    def bins(self) -> Bins:
        """The steps and channels in which spikes are counted."""
        return Bins(self.steps, self.step_ms / 1000, self.recorded, self.shape[0])

    def read_file(self, name: str) -> Batch:
        """The counts and labels of one of the data set's files."""
        path = self.find(name)
        labels = torch.from_numpy(read_labels(path))
        shape = (len(labels), *self.sample_shape)
        counts = cached(path.stem, asdict(self.bins), [path], shape, read_counts(path, self.bins))
        return counts, labels


class SHD(SpikeData):
    """Spiking Heidelberg Digits (Cramer et al. 2020): zero to nine in English and in German by 12
    speakers, through a cochlea model of 700 channels; 8,156 and 2,264 recordings.

    Two of the speakers are only in the test set. The defaults, 10 ms and 140 channels, follow
    arXiv:2512.01906. That paper leaves the number of steps open: the 100 steps here (1 s) hold
    nearly every recording, and the longest lasts 1.4 s.
    """

    classes = 20
    recorded = 700
    source = catalogue.SHD

    def read(self, train: bool) -> Batch:
        return self.read_file(f"shd_{'train' if train else 'test'}.h5")


class SSC(SpikeData):
    """Spiking Speech Commands (Cramer et al. 2020): 35 English words by many speakers, through a
    cochlea model of 700 channels; 75,466 recordings for training, 9,981 for validation and 20,382
    for testing, each part in its own file.

    Args:
        root: folder that holds the data sets.
        validation: only "published", because the set comes with validation recordings.
        options: as `SpikeData`.
    """

    classes = 35
    recorded = 700
    source = catalogue.SSC

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        validation: Literal["published"] = "published",
        **options: Any,
    ) -> None:
        if validation != "published":
            raise ValueError(f"validation: SSC has a file for it, 'published', got {validation}")
        super().__init__(root, validation=0, **options)
        self.validation = validation

    def read(self, train: bool) -> Batch:
        return self.read_file(f"ssc_{'train' if train else 'test'}.h5")

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        return samples, self.checked(*self.read_file("ssc_valid.h5"), part="validation")
