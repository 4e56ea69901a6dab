"""Images of one's own in folders, one folder per class."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neurodyn.data.arrays import moments
from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.cache import cached
from neurodyn.data.facts import Facts, OwnData, check_test, tell
from neurodyn.data.fingerprint import of_files
from neurodyn.data.formats.frames import height_and_width
from neurodyn.data.formats.photographs import (
    Box,
    everything,
    image_header,
    image_suffixes,
    middle,
    square,
)
from neurodyn.data.photographs import FileImages, Photographs, check_smallest, unvaried
from neurodyn.data.samples import Samples, stratified
from neurodyn.data.targets import Targets
from neurodyn.data.tree import Listed, Tree, find_tree
from neurodyn.errors import check

KEPT = 2**30
"""Images of so many bytes together are read once and kept in the cache folder."""

SMALL = 64
"""Largest side that images have unless `size` says otherwise."""

LOOKED_AT = 1000
"""Images that mean and standard deviation are computed from, where not all are kept."""


class ImageFolder(OwnData, FileImages):
    """Images in folders, one per class: `train/<class>/*` and `test/<class>/*`, or `<class>/*`.

    Every format that Pillow reads can be mixed. A folder `val` beside `train` and `test` holds the
    validation samples; without `test`, it is the test set. Mean and standard deviation per channel
    are the training images'.

    Up to a gigabyte of images is read once and kept in the cache folder, at `size`. More, or with
    `workers` or `smallest`, are read from their files batch by batch.

    Args:
        path: the folder.
        size: side of the images in pixels, or their height and width: the largest square in an
            image's middle (or the whole image, if height and width differ) is stretched to it.
            Unless given, the size that all images have, if that is up to 64; else 64.
        channels: 1 for grey, 3 for colour; colour if one of the images has it, unless given.
        test: without a test set, this share (below 1) or number of the images is one: stratified,
            chosen by `split_seed`. 0 for none.
        smallest: crop training images at random, as for ImageNet, to at least this share of their
            area; .08 there. Other images then give the square in their middle, 7/8 of its side.
        workers: number of processes that read files batch by batch.
        augment: how training images are varied.
        options: as `SampleData`; `root` is not used.
    """

    def __init__(
        self,
        path: str,
        size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        test: int | float = 0.2,
        smallest: float | None = None,
        workers: int | None = None,
        augment: ImageAugment = ImageAugment(),  # noqa: B008 - it cannot be changed
        **options: Any,
    ) -> None:
        super().__init__(augment=augment, **options)
        check_test(test)
        for pixels in height_and_width(size) if size is not None else ():
            check("size", pixels, 1)
        if channels not in (None, 1, 3):
            raise ValueError(f"channels: expected 1 (grey) or 3 (colour), got {channels}")
        if smallest is not None:
            check_smallest(smallest)
        if workers is not None:
            check("workers", workers, 0)
        self.path, self.size, self.channels, self.test = path, size, channels, test
        self.smallest, self.given_workers = smallest, workers
        self._tree: Tree | None = None

    @property
    def mean(self) -> tuple[float, ...]:  # type: ignore[override]
        return self.facts.mean

    @property
    def std(self) -> tuple[float, ...]:  # type: ignore[override]
        return self.facts.std

    def new_files(self, width: int, height: int) -> Box:  # type: ignore[override]
        """The part of an image that is read without a random crop."""
        _, rows, columns = self.facts.sample
        if rows != columns:
            return everything(width, height)
        return square(width, height) if self.smallest is None else middle(width, height)

    def check_augment(self) -> None:
        """Nothing yet: the images are looked at later."""

    def parts(self) -> Collection[str]:
        return self.tree.parts

    @property
    def tree(self) -> Tree:
        """The files by class."""
        if self._tree is None:
            self._tree = find_tree(Path(self.path).expanduser(), image_suffixes(), "images")
        return self._tree

    def look(self) -> Facts:
        train, classes = self.tree.parts["train"], self.tree.classes
        size, channels = self._form(train)
        targets = Targets("classes", len(classes), names=classes)
        facts = Facts("images", (channels, *size), targets, peak=255)
        self.augment.check(facts.shape)
        labels = torch.tensor(train.labels)
        rows, _ = self.split_off(labels)
        self._facts = facts  # By which the images are read.
        values = self._values("train")
        if isinstance(values, Photographs):
            rows = rows[stratified(labels[rows], self.split_seed)[:LOOKED_AT]]
            values, rows = values.plain()[rows], torch.arange(len(rows))
        mean, std = moments(values.numpy(), rows.numpy(), 1)
        self._facts = None
        mean, std = tuple(m / 255 for m in mean), tuple(s / 255 for s in std)
        tell(
            f"ImageFolder: {len(labels):,} images of {len(classes)} classes, read as "
            f"{'grey' if channels == 1 else 'colour'} {size[0]}x{size[1]}; size and channels say "
            "otherwise"
        )
        return replace(facts, mean=mean, std=std)

    def open(self, train: bool) -> Samples:
        samples = super().open(train)
        return samples if train else unvaried(samples)

    def part(self, name: str) -> Samples:
        facts, labels = self.facts, self.tree.parts[name].labels
        del facts
        values, wanted = self._values(name), torch.tensor(labels)
        if isinstance(values, Tensor):
            return self.checked(values, wanted, part="training" if name == "train" else name)
        if self.on_device:
            raise ValueError("on_device: the images are read from their files, expected false")
        self.workers = 8 if self.given_workers is None else self.given_workers
        return Samples(values, wanted)

    def fingerprint(self) -> str | None:
        listed = self.tree.parts.values()
        paths = [part.folder / name for part in listed for name in part.names]
        return of_files(paths, Path(self.path).expanduser())

    def _values(self, part: str) -> Tensor | Photographs:
        listed, (channels, *size) = self.tree.parts[part], self.sample_shape
        smallest = self.smallest if part == "train" else None
        values = Photographs(
            *(listed.folder, listed.names, (size[0], size[1]), smallest, self.new_files, channels)
        )
        all_files = sum(len(part.names) for part in self.tree.parts.values())
        if (
            self.smallest is not None
            or self.given_workers is not None
            or all_files * channels * size[0] * size[1] > KEPT
        ):
            return values
        paths = [listed.folder / name for name in listed.names]
        images = (values[torch.tensor(row)].numpy() for row in range(len(values)))
        return cached(f"images-{part}", {}, paths, values.shape, images)

    def _form(self, listed: Listed) -> tuple[tuple[int, int], int]:
        """The height, width and channels that the images get."""
        size, channels = self.size, self.channels
        if size is not None and channels is not None:
            return height_and_width(size), channels
        same, found = _looked_at(str(listed.folder), tuple(listed.names))
        if size is None:
            small = same is not None and max(same) <= SMALL
            size = same if small and same is not None else SMALL
            if not small:
                what = f"are {same[0]}x{same[1]}" if same else "differ in size"
                tell(f"ImageFolder: the images {what} and are shown at {SMALL}x{SMALL} (size)")
        return height_and_width(size), channels or found


@lru_cache(maxsize=4)
def _looked_at(folder: str, names: tuple[str, ...]) -> tuple[tuple[int, int] | None, int]:
    """The height and width that all images have, None if they differ; and their channels."""
    same: tuple[int, int] | None = None
    channels = 1
    for number, name in enumerate(names):
        size, found = image_header(Path(folder) / name)
        channels = max(channels, found)
        if number and size != same:
            same = None
            if channels == 3:
                break
        elif not number:
            same = size
    return same, channels
