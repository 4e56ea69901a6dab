"""Augmentation of a whole batch on its device, every image with its own draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neurodyn.data.augment.autoaugment import AutoAugment
from neurodyn.errors import require

Transform = Callable[[Tensor], Tensor]


class Augment:
    """Crop, flip, AutoAugment and Cutout, in this order; those that are asked for.

    A call draws from its own seed and leaves the global random state alone: what an image goes
    through depends neither on the model nor on where training was resumed. All draws are made on
    the CPU, so they are also the same on every device.

    Args:
        shape: (C, H, W) of the images.
        crop: pad by this many black pixels and crop back at random.
        flip: mirror left and right with probability 1/2.
        cutout: side of the square that is blanked out, in pixels.
        auto_augment: AutoAugment's policy for CIFAR-10 (Cubuk et al. 2019).
        fill: what Cutout puts there, one value a channel.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        crop: int = 0,
        flip: bool = False,
        cutout: int = 0,
        auto_augment: bool = False,
        fill: tuple[float, ...] = (0.0,),
    ) -> None:
        kornia: Any = require("kornia.augmentation", "train") if crop or flip else None
        self.transforms: list[Transform] = []
        if crop:
            self.transforms.append(kornia.RandomCrop(shape[1:], padding=crop))
        if flip:
            self.transforms.append(kornia.RandomHorizontalFlip())
        if auto_augment:
            self.transforms.append(AutoAugment())
        if cutout:
            self.transforms.append(_Cutout(cutout, torch.tensor(fill).reshape(-1, 1, 1)))

    def __call__(self, images: Tensor, seed: int) -> Tensor:
        """The batch `(B, C, H, W)` of values in [0, 1], varied by the draws of this seed."""
        if not self.transforms:
            return images
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for transform in self.transforms:
                images = transform(images)
        return images


class _Cutout:
    """Blank a square around a random pixel (DeVries & Taylor 2017).

    Its centre is uniform over the image, so part of the square may lie outside; Kornia's
    `RandomErasing` keeps it inside, which blanks more of the image.
    """

    def __init__(self, side: int, fill: Tensor) -> None:
        self.side, self.fill = side, fill

    def __call__(self, images: Tensor) -> Tensor:
        rows = self._within(images, images.shape[-2])[:, None, :, None]
        columns = self._within(images, images.shape[-1])[:, None, None, :]
        return torch.where(rows & columns, self.fill.to(images), images)

    def _within(self, images: Tensor, size: int) -> Tensor:
        first = torch.randint(size, (len(images), 1)) - self.side // 2
        distance = torch.arange(size) - first
        return ((distance >= 0) & (distance < self.side)).to(images.device)
