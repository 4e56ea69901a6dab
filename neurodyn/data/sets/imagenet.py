"""ImageNet as the folder tree of ILSVRC 2012."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from neurodyn.data import catalogue
from neurodyn.data.archive import folder_of
from neurodyn.data.formats.photographs import Photographs
from neurodyn.data.images import ImageData
from neurodyn.data.samples import Samples
from neurodyn.errors import check


class ImageNet(ImageData):
    """Photographs of 1,000 kinds of things: 1,281,167 and 50,000 (Russakovsky et al. 2015), as
    `imagenet/{train,val}/<wnid>/*.JPEG`; any such tree will do.

    Workers read, crop and resize the files; flip and normalisation happen on the device. The tree's
    `val` is the test set, as in the literature, so epochs are selected on validation images that
    come off the training set. The crops follow from seed, epoch and image: a training that is
    resumed, at whatever batch and with however many workers, sees those that it would have seen.

    Args:
        root: folder that holds the data sets.
        classes: number of class folders; classes are numbered in the folders' order.
        size: side of the images in pixels.
        smallest: least share of a training image's area that a random crop keeps.
        folder: the tree's name below the root.
        workers: processes that read files.
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
            # Below it, as Tiny ImageNet has them, or in it.
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
