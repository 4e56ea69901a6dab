"""ImageNet as the folder tree of ILSVRC 2012."""

from __future__ import annotations

from typing import Any

import torch

from neurodyn.data import catalogue
from neurodyn.data.archive import folder_of
from neurodyn.data.formats.photographs import middle
from neurodyn.data.photographs import FileImages, Photographs, check_smallest
from neurodyn.data.samples import Samples
from neurodyn.data.tree import class_folders, list_files
from neurodyn.errors import check


class ImageNet(FileImages):
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
    new_files = staticmethod(middle)

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
        check_smallest(smallest)
        if options.get("on_device"):
            raise ValueError("on_device: ImageNet is read from its files, expected false")
        self.shape, self.classes = (3, size, size), classes
        super().__init__(root, validation=validation, **options)
        self.folder, self.size, self.smallest, self.workers = folder, size, smallest, workers

    def open(self, train: bool) -> Samples:
        folder = folder_of(self.root) / self.folder / ("train" if train else "val")
        if not folder.is_dir():
            raise self.source.missing(folder)
        kinds = class_folders(folder)
        if len(kinds) != self.classes:
            raise ValueError(
                f"{folder}: found {len(kinds)} folders, expected one for each of "
                f"{self.classes} classes (--data.classes)"
            )
        # In a class's folder, or in one below it, as in Tiny ImageNet.
        listed = list_files(folder, kinds, (".jpeg", ".jpg"))
        if not listed.names:
            raise ValueError(f"{folder}: found no JPEG files in its folders")
        values = Photographs(folder, listed.names, self.size, self.smallest if train else None)
        return Samples(values, torch.tensor(listed.labels))
