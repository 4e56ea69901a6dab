"""What data modules of samples with time share: compact when kept, time first on the device."""

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

    Sequences are kept sample first and as small as they come, in memory or in a memory-mapped file;
    a batch comes out as floats, time first, `(T, B, *shape)`.
    Splits and order are those of `SampleData`, and so are the arguments.
    """

    steps: int
    """Number of timesteps T of every sample."""

    dtypes: ClassVar[tuple[torch.dtype, ...]] = (torch.uint8, torch.float16)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.steps, *self.shape)

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        # Time first while it is small, floats after.
        return samples.transpose(0, 1).contiguous().float(), labels
