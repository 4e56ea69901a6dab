"""Augmentation of spike trains: other voices, masks, CutMix; every sample with its own draw."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.data.base import check
from neurodyn.data.samples import Batch


class SpikeAugment:
    """Stretching, shifting, CutMix over time, time mask and channel mask, in this order; those that
    are asked for.

    Stretching and shifting make another speaker of a word's speaker: faster or slower, and with a
    longer or shorter vocal tract, which moves all formants by the same distance along a cochlea.
    The probabilities and largest sizes of the others are those of arXiv:2512.01906 (.5; .65 and 8
    steps; .65 and 28 of 140 channels). That a mask is one block, its length uniform from 1 and its
    place uniform, that both samples of a mixture come from the same batch and that a label weighs
    as much as its share of the steps is our reading.

    A call draws from its own seed and leaves the global random state alone. All draws are made on
    the CPU, so they are the same on every device.

    Args:
        shape: of a sample, `(T, *channels)`.
        classes: number of classes, for the weights of mixed labels.
        stretch: a sample runs `exp(U(-stretch, stretch))` times as fast; 0 for none.
        shift: a sample's channels move by up to this many, up or down; 0 for none.
        cutmix: probability that a block of steps is replaced by another sample's, 0 to T of them.
        time_mask: probability that a block of steps is silenced in all channels.
        time_mask_steps: its largest length.
        channel_mask: probability that a block of neighbouring channels is silenced at all steps.
        channel_mask_width: its largest width.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        stretch: float = 0.0,
        shift: int = 0,
        cutmix: float = 0.0,
        time_mask: float = 0.0,
        time_mask_steps: int = 8,
        channel_mask: float = 0.0,
        channel_mask_width: int = 28,
    ) -> None:
        for name, value in (
            ("cutmix", cutmix),
            ("time_mask", time_mask),
            ("channel_mask", channel_mask),
        ):
            check(name, value, 0, 1)
        self.classes, self.steps, self.channels = classes, shape[0], math.prod(shape[1:])
        if time_mask:
            check("time_mask_steps", time_mask_steps, 1, self.steps)
        if channel_mask:
            check("channel_mask_width", channel_mask_width, 1, self.channels)
        check("stretch", stretch, 0, 1)
        check("shift", shift, 0, self.channels - 1)
        if shift and len(shape) != 2:
            raise ValueError(f"shift: expected channels in one row, (T, channels), got {shape}")
        self.stretch, self.shift = stretch, shift
        self.cutmix, self.time_mask, self.channel_mask = cutmix, time_mask, channel_mask
        self.time_mask_steps, self.channel_mask_width = time_mask_steps, channel_mask_width

    def __call__(self, sequences: Tensor, labels: Tensor, seed: int) -> Batch:
        """The batch `(T, B, *channels)`, varied by the draws of this seed, and its labels.

        Labels `(B,)` come back as they are or, with CutMix, as weights of the classes `(B, K)`.
        """
        draws = _Draws(sequences.shape[1], seed)
        if self.stretch:
            speed = draws.uniform(-self.stretch, self.stretch).exp()
            source = ((torch.arange(self.steps) + 0.5) * speed).long()
            sequences = _taken(sequences, source.T, 0)
        if self.shift:
            source = torch.arange(self.channels) + draws.integer(-self.shift, self.shift)
            sequences = _taken(sequences, source, 2)
        if self.cutmix:
            partner = draws.order().to(sequences.device)
            block = draws.block(self.steps, self.cutmix, 0, self.steps).to(sequences.device)
            other = _like(block.T, sequences)
            sequences = torch.where(other, sequences[:, partner], sequences)
            share = block.float().mean(1, keepdim=True)
            weights = F.one_hot(labels, self.classes).float()
            labels = (1 - share) * weights + share * weights[partner]
        if self.time_mask:
            block = draws.block(self.steps, self.time_mask, 1, self.time_mask_steps)
            sequences = sequences * _like(~block.T.to(sequences.device), sequences)
        if self.channel_mask:
            block = draws.block(self.channels, self.channel_mask, 1, self.channel_mask_width)
            kept = (~block).to(sequences.device).reshape(sequences.shape[1:])
            sequences = sequences * kept
        return sequences, labels


class _Draws:
    """What is drawn for a batch, from one seed."""

    def __init__(self, batch: int, seed: int) -> None:
        self.batch, self.generator = batch, torch.Generator().manual_seed(seed)

    def order(self) -> Tensor:
        return torch.randperm(self.batch, generator=self.generator)

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.batch, 1, generator=self.generator)

    def integer(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (self.batch, 1), generator=self.generator)

    def block(self, size: int, probability: float, shortest: int, longest: int) -> Tensor:
        """Where each sample's block lies, `(B, size)`; nowhere for those that have none."""
        number = (self.batch, 1)
        has_one = torch.rand(number, generator=self.generator) < probability
        length = torch.randint(shortest, longest + 1, number, generator=self.generator) * has_one
        first = torch.rand(number, generator=self.generator) * (size - length + 1)
        distance = torch.arange(size) - first.long()
        return (distance >= 0) & (distance < length)


def _taken(sequences: Tensor, source: Tensor, dim: int) -> Tensor:
    """What lies at the sources along a dimension; silence where they are outside.

    `source` is `(T, B)` for the steps, `dim` 0, or `(B, channels)` for the channels, `dim` 2.
    """
    source = source.to(sequences.device)
    inside = (source >= 0) & (source < sequences.shape[dim])
    index = source.clamp(0, sequences.shape[dim] - 1)
    if dim == 2:
        return sequences.gather(2, index.expand_as(sequences)) * inside
    taken = sequences.gather(0, _like(index, sequences).expand_as(sequences))
    return taken * _like(inside, sequences)


def _like(steps: Tensor, sequences: Tensor) -> Tensor:
    """`(T, B)` with as many dimensions as the sequences."""
    return steps.reshape(*steps.shape, *[1] * (sequences.ndim - 2))
