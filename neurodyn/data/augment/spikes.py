"""Augmentation of spike trains: other voices, masks, CutMix; every sample has its own draw."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.data.targets import Targets
from neurodyn.errors import check


@dataclass(frozen=True)
class SpikeAugment:
    """Stretching, shifting, CutMix over time, time mask and channel mask, in this order; each only
    if asked for.

    Stretching and shifting turn the speaker of a word into another speaker: one who talks faster or
    slower, and one whose vocal tract is longer or shorter, which moves all formants by the same
    distance along a cochlea. CutMix and the masks follow arXiv:2512.01906 (probability .5; .65 and
    8 steps; .65 and 28 of 140 channels). The paper leaves some details open. Our reading: a mask is
    one block of uniform length and place, the partner of a mixture comes from the same batch, and a
    label weighs as much as its share of the steps.

    A call draws from its own seed and leaves the global random state alone. All draws are made on
    the CPU, so they are the same on every device.

    Args:
        stretch: a sample runs `exp(U(-stretch, stretch))` times as fast.
        shift: a sample's channels move up or down by at most this many.
        cutmix: probability that a block of steps is replaced by another sample's, and the label by
            as much.
        time_mask: probability that a block of steps is silenced in all channels.
        time_mask_steps: its largest length; 8 unless given.
        channel_mask: probability that a block of neighbouring channels is silenced at all steps.
        channel_mask_width: its largest width; a fifth of the channels unless given.
    """

    stretch: float = 0.0
    shift: int = 0
    cutmix: float = 0.0
    time_mask: float = 0.0
    time_mask_steps: int | None = None
    channel_mask: float = 0.0
    channel_mask_width: int | None = None

    def __post_init__(self) -> None:
        for name in ("stretch", "cutmix", "time_mask", "channel_mask"):
            check(name, getattr(self, name), 0, 1)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse options that do not suit samples of the shape `(T, *channels)`."""
        steps, channels = shape[0], math.prod(shape[1:])
        if self.time_mask_steps is not None:
            check("time_mask_steps", self.time_mask_steps, 1, steps)
        if self.channel_mask_width is not None:
            check("channel_mask_width", self.channel_mask_width, 1, channels)
        check("shift", self.shift, 0, channels - 1)
        if self.shift and len(shape) != 2:
            raise ValueError(f"shift: expected channels in one row, (T, channels), got {shape}")

    def check_targets(self, targets: Targets, *, padded: bool) -> None:
        """Refuse options that do not suit the targets, or samples of different lengths."""
        if self.cutmix and targets.kind != "classes":
            raise ValueError(f"cutmix: expected targets that are classes, got {targets.kind}")
        for name in ("stretch", "cutmix"):
            if getattr(self, name) and (targets.per_step or padded):
                which = "with a target per step" if targets.per_step else "of different lengths"
                raise ValueError(
                    f"{name}: it moves steps, which samples {which} do not allow; expected 0"
                )

    def fitted(self, steps: int) -> SpikeAugment:
        """The same for a batch of so many steps, which may be shorter than the samples."""
        if self.time_mask_steps is None:
            return self
        return replace(self, time_mask_steps=min(self.time_mask_steps, steps))

    def __call__(
        self, sequences: Tensor, labels: Tensor, seed: int, classes: int
    ) -> tuple[Tensor, Tensor]:
        """The batch `(T, B, *channels)`, varied, and its labels; draws depend only on the seed.

        Labels `(B,)` come back as they are or, with CutMix, as weights of the classes `(B, K)`.
        """
        steps, batch, *rest = sequences.shape
        self.check((steps, *rest))
        channels = math.prod(rest)
        draws = _Draws(batch, seed)
        if self.stretch:
            speed = draws.uniform(-self.stretch, self.stretch).exp()
            source = ((torch.arange(steps) + 0.5) * speed).long()
            sequences = _taken(sequences, source.T, 0)
        if self.shift:
            source = torch.arange(channels) + draws.integer(-self.shift, self.shift)
            sequences = _taken(sequences, source, 2)
        if self.cutmix:
            partner = draws.order().to(sequences.device)
            block = draws.block(steps, self.cutmix, 0, steps).to(sequences.device)
            other = _like(block.T, sequences)
            sequences = torch.where(other, sequences[:, partner], sequences)
            share = block.float().mean(1, keepdim=True)
            weights = F.one_hot(labels, classes).float()
            labels = (1 - share) * weights + share * weights[partner]
        if self.time_mask:
            longest = self.time_mask_steps or min(8, steps)
            block = draws.block(steps, self.time_mask, 1, longest)
            sequences = sequences * _like(~block.T.to(sequences.device), sequences)
        if self.channel_mask:
            widest = self.channel_mask_width or max(1, channels // 5)
            block = draws.block(channels, self.channel_mask, 1, widest)
            kept = (~block).to(sequences.device).reshape(sequences.shape[1:])
            sequences = sequences * kept
        return sequences, labels


class _Draws:
    """The random numbers of a batch, from one seed."""

    def __init__(self, batch: int, seed: int) -> None:
        self.batch, self.generator = batch, torch.Generator().manual_seed(seed)

    def order(self) -> Tensor:
        return torch.randperm(self.batch, generator=self.generator)

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.batch, 1, generator=self.generator)

    def integer(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (self.batch, 1), generator=self.generator)

    def block(self, size: int, probability: float, shortest: int, longest: int) -> Tensor:
        """Where each sample's block lies, `(B, size)`; all False for samples without one."""
        number = (self.batch, 1)
        has_one = torch.rand(number, generator=self.generator) < probability
        length = torch.randint(shortest, longest + 1, number, generator=self.generator) * has_one
        first = torch.rand(number, generator=self.generator) * (size - length + 1)
        distance = torch.arange(size) - first.long()
        return (distance >= 0) & (distance < length)


def _taken(sequences: Tensor, source: Tensor, dim: int) -> Tensor:
    """The sequences read at the sources along a dimension; silence where a source is outside.

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
