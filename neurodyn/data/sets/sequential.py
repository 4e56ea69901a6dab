"""Images shown piece by piece: sequential MNIST, permuted sequential MNIST, sequential CIFAR-10."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.data.images import ImageData
from neurodyn.data.samples import Batch
from neurodyn.data.sets.images import CIFAR10, MNIST, Digits
from neurodyn.errors import unknown


class SequentialImages(ImageData):
    """Base of image data sets that show one pixel, row or column of the image per timestep.

    A batch is `(T, B, C)` by pixels (left to right, then down), `(H, B, C, W)` by rows and
    `(W, B, C, H)` by columns. Images are augmented and normalised first.

    Args:
        root: folder that holds the data sets, each in torchvision's layout.
        by: the part of the image that a timestep shows.
        pool: first average squares of this side: 2 turns 28x28 into 14x14, and 784 steps into 196.
        permuted: show the pixels of all images in one random order (Le et al. 2015), drawn from
            seed 0. Every paper draws its own order.
        options: as `ImageData`.
    """

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        by: Literal["pixel", "row", "column"] = "pixel",
        pool: int = 1,
        permuted: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        channels, height, width = type(self).shape
        if pool < 1 or height % pool or width % pool:
            raise ValueError(f"pool: expected a divisor of {height} and {width}, got {pool}")
        if permuted and by != "pixel":
            raise ValueError(f"permuted: expected by='pixel', got by={by!r}")
        height, width = height // pool, width // pool
        # The shapes of a network's input; the class's shape stays that of an image.
        sizes: dict[str, tuple[int, tuple[int, ...]]] = {
            "pixel": (height * width, (channels,)),
            "row": (height, (channels, width)),
            "column": (width, (channels, height)),
        }
        if by not in sizes:
            raise unknown("by", by, sizes)
        self.steps, self.shape = sizes[by]
        self.by, self.pool = by, pool
        self.order: Tensor | None = None
        if permuted:
            self.order = torch.randperm(self.steps, generator=torch.Generator().manual_seed(0))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return type(self).shape

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        images, labels = super().prepare(samples, labels, seed)
        if self.pool > 1:
            images = F.avg_pool2d(images, self.pool)
        return self.sequence(images).contiguous(), labels

    def sequence(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` over time, `(T, B, *shape)`."""
        if self.by == "row":
            return images.permute(2, 0, 1, 3)
        if self.by == "column":
            return images.permute(3, 0, 1, 2)
        pixels = images.flatten(2).permute(2, 0, 1)
        return pixels if self.order is None else pixels[self.order.to(pixels.device)]


class SequentialDigits(SequentialImages, Digits):
    """Scikit-learn's 8x8 digits over time; T = 64 by pixels. Needs no files."""


class SequentialMNIST(SequentialImages, MNIST):
    """MNIST over time; T = 784 by pixels, and with `permuted` psMNIST."""


class SequentialCIFAR10(SequentialImages, CIFAR10):
    """CIFAR-10 over time; T = 1024 of 3 features by pixels, 32 of `(3, 32)` by rows or columns."""
