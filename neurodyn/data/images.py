"""Base of the image data sets: batches are normalised and augmented on their device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.base import SampleData
from neurodyn.data.formats.photographs import Box, everything, read_photograph
from neurodyn.data.samples import Batch, Files


class ImageData(SampleData):
    """Base of the image data sets. A subclass says what its images are and reads them:

        class Mine(ImageData):
            shape, classes = (3, 32, 32), 10
            mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

            def read(self, train):
                return images, labels  # (N, C, H, W) uint8, (N,) int64

    Images stay in memory as bytes. A batch is floats `(B, C, H, W)`, normalised and, in training,
    augmented. Splits and order are those of `SampleData`.

    Args:
        root: folder that holds the data sets, each in torchvision's layout.
        augment: how training images are varied; Cutout blanks with their mean.
        options: as `SampleData`.
    """

    mean: tuple[float, ...]
    """Mean of the training images, in units of `peak`, one value per channel."""

    std: tuple[float, ...]
    """Standard deviation of the training images, in units of `peak`, one value per channel."""

    peak: int = 255
    """The largest value that a pixel can have."""

    new_files: Callable[[int, int], Box] = staticmethod(everything)
    """The part of an image file of the user's that is read, from its width and height; it is
    stretched to the size of the data set's images."""

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        augment: ImageAugment = ImageAugment(),  # noqa: B008 - it cannot be changed
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        self.augment = augment
        self.check_augment()

    def check_augment(self) -> None:
        """Refuse augmentation that does not suit the images."""
        self.augment.check(self.shape)

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        images = samples.float() / self.peak
        if seed is not None:
            images = self.augment(images, seed, self.mean)
        return self.normalise(images), labels

    def normalise(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` of values in [0, 1], to mean 0 and standard deviation 1."""
        mean = images.new_tensor(self.mean).reshape(-1, 1, 1)
        std = images.new_tensor(self.std).reshape(-1, 1, 1)
        return (images - mean) / std

    def read_files(self, paths: str | Path | Sequence[str | Path]) -> Files:
        """Images of any format that Pillow reads, stretched to the size of this data set's."""
        channels, *size = self.sample_shape

        def read(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
            image = read_photograph(path, (size[0], size[1]), self.new_files, channels)
            return image if self.peak == 255 else (image / 255 * self.peak).round().astype(np.uint8)

        return Files.of(paths, read)
