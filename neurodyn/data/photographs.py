"""Images in files as samples, read and cropped when they are asked for."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurodyn.data.formats.photographs import Box, middle, read_photograph
from neurodyn.data.images import ImageData
from neurodyn.data.loader import global_seed, mix
from neurodyn.data.samples import RowsOfFiles, Samples


class Photographs(RowsOfFiles):
    """Files as a tensor `(N, channels, size, size)`, uint8; only the rows asked for are read.

    A training photograph is cropped at random: a share of its area from `smallest` to 1, an aspect
    ratio from 3/4 to 4/3, uniform in its logarithm, and then stretched to a square (Szegedy et al.
    2015). The draw depends on the global seed, the epoch and the photograph's number, but not on
    the process that makes it. Other photographs, and those where ten draws did not fit, give the
    part that `crop` says.

    Args:
        folder: the folder that holds the files.
        names: their paths below it.
        size: side in pixels, or height and width.
        smallest: least share of the area; None for no random crop.
        crop: the part of an image that is read without a random crop.
        channels: 3 for colour, 1 for grey.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        size: int | tuple[int, int],
        smallest: float | None = None,
        crop: Callable[[int, int], Box] = middle,
        channels: int = 3,
    ) -> None:
        # An array: a worker that merely looks at a list of a million strings copies all of them.
        self.names = np.array([os.fsencode(name) for name in names])
        self.folder, self.size, self.smallest = folder, size, smallest
        self.crop, self.channels = crop, channels
        height, width = (size, size) if isinstance(size, int) else size
        self.shape, self.dtype = (len(names), channels, height, width), torch.uint8
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw other crops than in the epoch before."""
        self.epoch = epoch

    def plain(self) -> Photographs:
        """The same without random crops."""
        other = copy.copy(self)
        other.smallest = None
        return other

    def __len__(self) -> int:
        return len(self.names)

    def read_row(self, row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        path = self.folder / os.fsdecode(self.names[row])
        return read_photograph(path, self.size, lambda w, h: self._box(w, h, row), self.channels)

    def _box(self, width: int, height: int, row: int) -> Box:
        if self.smallest is not None:
            draws = np.random.default_rng(mix(global_seed(), self.epoch, row))
            for _ in range(10):
                area = width * height * draws.uniform(self.smallest, 1)
                ratio = math.exp(draws.uniform(math.log(3 / 4), math.log(4 / 3)))
                w, h = math.sqrt(area * ratio), math.sqrt(area / ratio)
                if w <= width and h <= height:
                    left, top = draws.uniform(0, width - w), draws.uniform(0, height - h)
                    return left, top, left + w, top + h
        return self.crop(width, height)


class FileImages(ImageData):
    """Base of the image data sets that read their files batch by batch."""

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        training, validation = super().split(samples)
        return training, unvaried(validation)


def unvaried(samples: Samples) -> Samples:
    """The same samples, their files without random crops."""
    if not isinstance(samples.values, Photographs):
        return samples
    return Samples(samples.values.plain(), samples.all_labels, samples.rows)


def check_smallest(smallest: float) -> None:
    """Refuse a share of an image's area that is none."""
    if not 0 < smallest <= 1:
        raise ValueError(f"smallest: expected a share above 0 and up to 1, got {smallest}")
