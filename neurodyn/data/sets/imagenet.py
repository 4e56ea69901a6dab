"""ImageNet as the folder tree of ILSVRC 2012."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.data import catalogue
from neurodyn.data.archive import folder_of
from neurodyn.data.formats.photographs import Box, middle, read_photograph
from neurodyn.data.images import ImageData
from neurodyn.data.loader import global_seed, mix
from neurodyn.data.samples import Samples
from neurodyn.errors import check


class Photographs:
    """Files as a tensor `(N, 3, size, size)`, uint8; only the rows asked for are read.

    A training photograph is cropped at random: a share of its area from `smallest` to 1, an aspect
    ratio from 3/4 to 4/3, uniform in its logarithm, and then stretched to a square (Szegedy et al.
    2015). The draw depends on the global seed, the epoch and the photograph's number, but not on
    the process that makes it. Other photographs, and those where ten draws did not fit, give their
    middle.

    Args:
        folder: the folder that holds the files.
        names: their paths below it.
        size: side in pixels.
        smallest: least share of the area; None for no random crop.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], size: int, smallest: float | None = None
    ) -> None:
        # An array: a worker that merely looks at a list of a million strings copies all of them.
        self.names = np.array([os.fsencode(name) for name in names])
        self.folder, self.size, self.smallest = folder, size, smallest
        self.shape, self.dtype = (len(names), 3, size, size), torch.uint8
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

    def __getitem__(self, rows: Tensor) -> Tensor:
        if rows.ndim == 0:
            return torch.from_numpy(self._read(int(rows)))
        return torch.from_numpy(np.stack([self._read(row) for row in rows.tolist()]))

    def _read(self, row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        path = self.folder / os.fsdecode(self.names[row])
        return read_photograph(path, self.size, lambda width, height: self._box(width, height, row))

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
        return middle(width, height)


class ImageNet(ImageData):
    """Photographs of 1,000 kinds of things: 1,281,167 and 50,000 (Russakovsky et al. 2015), as
    `imagenet/{train,val}/<wnid>/*.JPEG`; any tree of this form can be read.

    Workers read, crop and resize the files; flip and normalisation happen on the device. As in the
    literature, the tree's `val` is the test set, so epochs are selected on validation images taken
    from the training set. The crops depend only on seed, epoch and image: a resumed training sees
    the same crops, whatever the batch it resumes at and the number of workers.

    Args:
        root: folder that holds the data sets.
        classes: number of class folders; classes are numbered in the folders' order.
        size: side of the images in pixels.
        smallest: least share of a training image's area that a random crop keeps.
        folder: the tree's name below the root.
        workers: number of processes that read files.
        validation: as `SampleData`; 10,000 images unless given.
        options: as `ImageData`.
    """

    shape = (3, 224, 224)
    classes = 1000
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    source = catalogue.IMAGENET

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        classes: int = 1000,
        size: int = 224,
        smallest: float = 0.08,
        folder: str = "imagenet",
        workers: int = 8,
        validation: int | float = 10_000,
        **options: Any,
    ) -> None:
        check("classes", classes, 2)
        check("size", size, 1)
        check("workers", workers, 0)
        if not 0 < smallest <= 1:
            raise ValueError(f"smallest: expected a share above 0 and up to 1, got {smallest}")
        if options.get("on_device"):
            raise ValueError("on_device: ImageNet is read from its files, expected false")
        self.shape, self.classes = (3, size, size), classes
        super().__init__(root, validation=validation, **options)
        self.folder, self.size, self.smallest, self.workers = folder, size, smallest, workers

    def open(self, train: bool) -> Samples:
        folder = folder_of(self.root) / self.folder / ("train" if train else "val")
        names, labels = self._files(folder)
        values = Photographs(folder, names, self.size, self.smallest if train else None)
        return Samples(values, torch.tensor(labels))

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        training, validation = super().split(samples)
        assert isinstance(samples.values, Photographs)
        unvaried = Samples(samples.values.plain(), samples.all_labels, validation.rows)
        return training, unvaried

    def _files(self, folder: Path) -> tuple[list[str], list[int]]:
        if not folder.is_dir():
            raise self.source.missing(folder)
        kinds = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        if len(kinds) != self.classes:
            raise ValueError(
                f"{folder}: found {len(kinds)} folders, expected one for each of "
                f"{self.classes} classes (--data.classes)"
            )
        names, labels = [], []
        for label, kind in enumerate(kinds):
            # In the folder, or in one below it, as in Tiny ImageNet.
            found = [
                os.path.relpath(os.path.join(where, name), folder)
                for where, _, files in os.walk(folder / kind)
                for name in files
                if name.lower().endswith((".jpeg", ".jpg"))
            ]
            names += sorted(found)
            labels += [label] * len(found)
        if not names:
            raise ValueError(f"{folder}: found no JPEG files in its folders")
        return names, labels
