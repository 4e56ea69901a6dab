"""Augmentation of event frames; every sample has its own draw, the same for all its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.errors import check


@dataclass(frozen=True)
class EventAugment:
    """Flip, roll, one of NDA's geometric changes, and drop, in this order; each only if asked for.

    The papers leave some magnitudes open; these are our reading. NDA (Li et al., ECCV 2022) makes
    one change per sample: it rolls by up to 5 pixels of 48, rotates by up to 30 degrees either way,
    cuts out a rectangle of up to a sixth of the side, or shears. EventDrop (Gu et al., IJCAI 2021)
    drops a stretch of up to half of the time, an area of up to half of each side, or up to half of
    the pixels.

    A call draws from its own seed and leaves the global random state alone. All draws are made on
    the CPU, so they are the same on every device.

    Args:
        flip: mirror left and right with probability 1/2.
        roll: shift by up to this many pixels in each direction; pixels that leave on one side come
            back on the other.
        nda: make one of NDA's changes to each sample.
        drop: probability that events are dropped from a sample.
    """

    flip: bool = False
    roll: int = 0
    nda: bool = False
    drop: float = 0.0

    def __post_init__(self) -> None:
        check("roll", self.roll, 0)
        check("drop", self.drop, 0, 1)

    def __call__(self, frames: Tensor, seed: int) -> Tensor:
        """The batch `(T, B, 2, H, W)`, varied; the draws depend only on the seed."""
        draws = torch.Generator().manual_seed(seed)
        if self.flip:
            frames = _flip(frames, draws)
        if self.roll:
            frames = _roll(frames, _whole(frames, self.roll, draws))
        if self.nda:
            frames = _nda(frames, draws)
        if self.drop:
            frames = frames * _kept(frames, self.drop, draws).to(frames)
        return frames


def _flip(frames: Tensor, draws: torch.Generator) -> Tensor:
    mirrored = torch.rand(frames.shape[1], generator=draws) < 0.5
    return torch.where(_each(mirrored.to(frames.device)), frames.flip(-1), frames)


def _roll(frames: Tensor, shifts: Tensor) -> Tensor:
    batch, (height, width) = frames.shape[1], frames.shape[-2:]
    rows = (torch.arange(height) - shifts[:, :1]) % height
    columns = (torch.arange(width) - shifts[:, 1:]) % width
    samples = torch.arange(batch)[:, None, None]
    # Advanced indices apart from each other come first: (B, H, W, T, 2).
    picked = frames[:, samples, :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(3, 0, 4, 1, 2)


def _nda(frames: Tensor, draws: torch.Generator) -> Tensor:
    batch, side = frames.shape[1], min(frames.shape[-2:])
    which = torch.randint(4, (batch,), generator=draws)
    shifts = _whole(frames, round(5 / 48 * side), draws) * (which == 0)[:, None]
    angle = (2 * torch.rand(batch, generator=draws) - 1) * math.pi / 6
    turn, slant = angle * (which == 1), torch.tan(angle) * (which == 2)
    first_row = torch.stack([turn.cos(), slant - turn.sin(), torch.zeros(batch)], 1)
    second_row = torch.stack([turn.sin(), turn.cos(), torch.zeros(batch)], 1)
    frames = _warp(_roll(frames, shifts), torch.stack([first_row, second_row], 1))
    hole = _area(frames, side // 6, side // 6, which == 3, draws)
    return frames * ~hole.to(frames.device)


def _warp(frames: Tensor, affine: Tensor) -> Tensor:
    images = frames.transpose(0, 1).flatten(1, 2)
    grid = F.affine_grid(affine, [*images.shape], align_corners=False).to(images)
    # The nearest event, so that counts stay counts.
    images = F.grid_sample(images, grid, mode="nearest", align_corners=False)
    warped: Tensor = images.unflatten(1, (len(frames), -1))
    return warped.transpose(0, 1)


def _kept(frames: Tensor, probability: float, draws: torch.Generator) -> Tensor:
    (steps, batch), (height, width) = frames.shape[:2], frames.shape[-2:]
    hit = torch.rand(batch, generator=draws) < probability
    which = torch.randint(3, (batch,), generator=draws)
    longest = torch.rand(batch, 1, generator=draws) / 2
    length = (longest * steps).round().long()
    first = (torch.rand(batch, 1, generator=draws) * (steps - length + 1)).long()
    distance = (torch.arange(steps) - first).T
    time = _each((distance >= 0) & (distance < length.T) & hit & (which == 0))
    area = _area(frames, height // 2, width // 2, hit & (which == 1), draws)
    alone = torch.rand(steps, batch, 1, height, width, generator=draws)
    pixels = (alone < longest.T[..., None, None, None]) & _each(hit & (which == 2))
    return ~(time | area | pixels)


def _area(frames: Tensor, tallest: int, widest: int, hit: Tensor, draws: torch.Generator) -> Tensor:
    """A rectangle of up to this size around a random pixel, `(B, 1, H, W)`."""
    inside = []
    for size, largest in zip(frames.shape[-2:], (tallest, widest), strict=True):
        side = torch.randint(1, max(largest, 1) + 1, (len(hit), 1), generator=draws)
        first = torch.randint(size, (len(hit), 1), generator=draws) - side // 2
        distance = torch.arange(size) - first
        inside.append((distance >= 0) & (distance < side) & hit[:, None])
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def _whole(frames: Tensor, largest: int, draws: torch.Generator) -> Tensor:
    return torch.randint(-largest, largest + 1, (frames.shape[1], 2), generator=draws)


def _each(samples: Tensor) -> Tensor:
    """`(..., B)` against frames `(T, B, 2, H, W)`."""
    return samples[..., None, None, None]
