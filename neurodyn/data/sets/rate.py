"""Rate coding: images as random spikes; the brighter a pixel, the more spikes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.data.images import ImageData
from neurodyn.data.loader import mix
from neurodyn.data.samples import Batch
from neurodyn.data.sets.images import MNIST, Digits
from neurodyn.errors import check


class RateCodedImages(ImageData):
    """Base of image data sets that are shown as spikes. In each of `steps` timesteps a pixel fires
    with a probability that is its value between 0 (black) and 1 (the peak). A batch is
    `(T, B, C, H, W)`, of zeros and ones.

    In training, the draws depend on the seed and the number of the batch. In validation and test,
    the same batch always gets the same draws.

    Args:
        root: folder that holds the data sets, each in torchvision's layout.
        steps: number of timesteps T; 16 as in CS-GRU on MNIST (arXiv:2510.25696).
        options: as `ImageData`.
    """

    def __init__(
        self, root: str = "~/.cache/neurodyn/data", steps: int = 16, **options: Any
    ) -> None:
        super().__init__(root, **options)
        check("steps", steps, 1)
        self.steps = steps

    def normalise(self, images: Tensor) -> Tensor:
        """The images unchanged: their values are probabilities."""
        return images

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        images, labels = super().prepare(samples, labels, seed)
        generator = torch.Generator(images.device).manual_seed(mix(seed or 0))
        chance = images.clamp(0, 1).expand(self.steps, *images.shape)
        return torch.bernoulli(chance, generator=generator), labels


class RateDigits(RateCodedImages, Digits):
    """Scikit-learn's 8x8 digits as spikes. Needs no files."""


class RateMNIST(RateCodedImages, MNIST):
    """MNIST as spikes."""
