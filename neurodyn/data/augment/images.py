"""Augmentation of images, on their device; every image has its own draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurodyn.data.augment.autoaugment import AutoAugment
from neurodyn.errors import check, require


@dataclass(frozen=True)
class ImageAugment:
    """Crop, flip, AutoAugment and Cutout, in this order; each only if asked for.

    A call draws from its own seed and leaves the global random state alone, so the result depends
    neither on the model nor on where training was resumed. All draws are made on the CPU, so they
    are the same on every device.

    Args:
        crop: pad by this many black pixels, then crop back at random.
        flip: mirror left and right with probability 1/2.
        cutout: side in pixels of a square that is blanked out of each image.
        auto_augment: apply AutoAugment's policy for CIFAR-10 (Cubuk et al. 2019); needs colour.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    auto_augment: bool = False

    def __post_init__(self) -> None:
        if self.crop or self.flip or self.auto_augment:
            require("kornia.augmentation", "train")

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse options that do not suit images of the shape `(C, H, W)`."""
        check("crop", self.crop, 0, min(shape[1:]) - 1)
        check("cutout", self.cutout, 0, min(shape[1:]))
        if self.auto_augment and shape[0] != 3:
            raise ValueError(
                f"auto_augment: expected images of 3 channels (it varies colours), got {shape[0]}"
            )

    def __call__(self, images: Tensor, seed: int, fill: tuple[float, ...] = (0.0,)) -> Tensor:
        """Images `(B, C, H, W)` with values in [0, 1], varied.

        Args:
            images: the batch.
            seed: the only thing that the draws depend on.
            fill: the colour of Cutout's squares, one value per channel.
        """
        self.check(images.shape[1:])
        if self == ImageAugment():
            return images
        kornia: Any = require("kornia.augmentation", "train")
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            if self.crop:
                images = kornia.RandomCrop(images.shape[2:], padding=self.crop)(images)
            if self.flip:
                images = kornia.RandomHorizontalFlip()(images)
            if self.auto_augment:
                images = AutoAugment()(images)
            if self.cutout:
                images = _cutout(images, self.cutout, images.new_tensor(fill))
        return images


def _cutout(images: Tensor, side: int, fill: Tensor) -> Tensor:
    """Blank a square around a random pixel (DeVries & Taylor 2017).

    Its centre is uniform over the image, so part of the square may lie outside. Kornia's
    `RandomErasing` keeps it inside, which blanks more of the image.
    """
    rows, columns = (_stretches(len(images), size, side) for size in images.shape[2:])
    square = (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)
    return torch.where(square, fill.reshape(-1, 1, 1), images)


def _stretches(number: int, size: int, side: int) -> Tensor:
    first = torch.randint(size, (number, 1)) - side // 2
    distance = torch.arange(size) - first
    return (distance >= 0) & (distance < side)
