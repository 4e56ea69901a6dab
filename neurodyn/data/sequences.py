"""Base of the data sets whose samples have time: compact when kept, time first on the device."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from neurodyn.data.base import SampleData
from neurodyn.data.samples import Batch


class SequenceData(SampleData):
    """Base of the data sets whose samples have time. A subclass says what a step is and reads:

        class Mine(SequenceData):
            shape, steps, classes = (140,), 100, 20

            def read(self, train):
                return sequences, labels  # (N, T, 140) uint8 or float16, (N,) int64

    Sequences are kept sample first and in their compact form, in memory or in a memory-mapped file.
    A batch is floats, time first, `(T, B, *shape)`. Splits, order and arguments are those of
    `SampleData`.
    """

    steps: int
    """Number of timesteps T of every sample."""

    dtypes: ClassVar[tuple[torch.dtype, ...]] = (torch.uint8, torch.float16)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.steps, *self.shape)

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        # Transposed while it is small, then made floats.
        return samples.transpose(0, 1).contiguous().float(), labels
