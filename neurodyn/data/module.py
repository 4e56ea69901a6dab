"""The Lightning data module that all image data sets share: split, load, normalise, augment."""

from __future__ import annotations

import warnings
from typing import ClassVar

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from neurodyn.data.augment import Augment
from neurodyn.data.images import Batch, Images, stratified, whole
from neurodyn.data.loader import Order, ResumableLoader, global_seed, mix
from neurodyn.data.sources import Source, folder_of


class ImageData(lightning.LightningDataModule):
    """Base of the image data sets. A subclass says what its images are and reads them:

        class Mine(ImageData):
            shape, classes = (3, 32, 32), 10
            mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

            def read(self, train):
                return images, labels  # (N, C, H, W) uint8, (N,) int64

    Images stay in memory as bytes. Normalisation and, in training, augmentation happen to whole
    batches after they reached their device.

    The test set is what its publishers made it; validation images come off the training set. The
    order of the training images follows from the seed of `lightning.seed_everything` (0 without)
    and the epoch, and the augmentation of a batch from the seed and the number of batches before
    it. Neither depends on random numbers drawn elsewhere: models that are trained with the same
    seed see the same images, and a training that is resumed sees those that it would have seen.

    Args:
        root: folder that holds the data sets, each in torchvision's layout.
        download: fetch what is missing there.
        batch_size: images a batch (on each device).
        validation: share (below 1) or number of the training images that are set aside for
            validation, stratified by class; 0 for none.
        split_seed: what the choice of validation images and of a limited training set depends on,
            apart from the seed of the training.
        limit: train on this many images only, equally many of each class.
        crop: pad the training images by this many pixels and crop them back at random.
        flip: mirror training images at random.
        cutout: side in pixels of a square that is blanked out of each training image.
        auto_augment: vary training images with AutoAugment's policy for CIFAR-10 (needs colour).
    """

    shape: ClassVar[tuple[int, int, int]]
    """(C, H, W) of an image."""

    classes: ClassVar[int]
    """How many classes there are."""

    mean: ClassVar[tuple[float, ...]]
    """Mean of the training images, in units of `peak`, one value a channel."""

    std: ClassVar[tuple[float, ...]]
    """Standard deviation of the training images, in units of `peak`, one value a channel."""

    peak: ClassVar[int] = 255
    """The largest value that a pixel can have."""

    source: ClassVar[Source | None] = None
    """Where the files come from; None if there are none."""

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        download: bool = False,
        batch_size: int = 128,
        validation: int | float = 0.1,
        split_seed: int = 0,
        limit: int | None = None,
        crop: int = 0,
        flip: bool = False,
        cutout: int = 0,
        auto_augment: bool = False,
    ) -> None:
        super().__init__()
        side = min(self.shape[1:])
        _check("batch_size", batch_size, 1)
        _check("crop", crop, 0, side - 1)
        _check("cutout", cutout, 0, side)
        if limit is not None:
            _check("limit", limit, self.classes)
        if not (0 <= validation < 1 or (isinstance(validation, int) and validation > 0)):
            raise ValueError(
                f"validation: expected a share from 0 to below 1 or a whole number of images, "
                f"got {validation}"
            )
        if auto_augment and self.shape[0] != 3:
            raise ValueError(
                f"auto_augment: expected images of 3 channels (it varies colours), "
                f"got {type(self).__name__} of {self.shape[0]}"
            )
        folder_of(root)
        self.root, self.download, self.batch_size = root, download, batch_size
        self.validation, self.split_seed, self.limit = validation, split_seed, limit
        self.augment = Augment(
            self.shape,
            crop=crop,
            flip=flip,
            cutout=cutout,
            auto_augment=auto_augment,
            fill=self.mean,
        )
        self._training: Images | None = None
        self._validation: Images | None = None
        self._test: Images | None = None

    def read(self, train: bool) -> Batch:
        """All images `(N, C, H, W)`, uint8, and labels `(N,)`, int64, of the published split."""
        raise NotImplementedError(f"{type(self).__name__} does not define its read")

    def prepare_data(self) -> None:
        if self.download and self.source is not None:
            self.source.fetch(self.root)

    def setup(self, stage: str | None = None) -> None:
        if stage in (None, "fit", "validate") and self._training is None:
            self._training, self._validation = self._split(self._read(train=True))
        if stage in (None, "test") and self._test is None:
            self._test = self._read(train=False)

    def train_dataloader(self) -> DataLoader[Batch]:
        images = _ready(self._training)
        replicas = self.trainer.distributed_sampler_kwargs if self.trainer else None
        sampler: Order[Batch] = Order(
            images, **(replicas or {"num_replicas": 1, "rank": 0}), seed=mix(global_seed())
        )
        return self._loader(images, sampler)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        images = _ready(self._validation)
        return self._loader(images) if len(images) else []

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(_ready(self._test))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        images, labels = batch
        images = images.float() / self.peak
        if self.trainer and self.trainer.training:
            batches = self.trainer.fit_loop.total_batch_idx + 1
            seed = mix(global_seed(), self.trainer.global_rank, batches)
            images = self.augment(images, seed)
        images = self.normalise(images)
        if self.trainer:
            # Lightning did this before there were floating-point numbers to convert.
            images = self.trainer.precision_plugin.convert_input(images)
        return images, labels

    def normalise(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` of values in [0, 1], to mean 0 and standard deviation 1."""
        mean = images.new_tensor(self.mean).reshape(-1, 1, 1)
        std = images.new_tensor(self.std).reshape(-1, 1, 1)
        return (images - mean) / std

    def _read(self, *, train: bool) -> Images:
        images, labels = self.read(train)
        name = f"{type(self).__name__} ({'training' if train else 'test'} set)"
        if images.shape[1:] != self.shape or images.dtype != torch.uint8:
            raise ValueError(
                f"{name}: found images of shape {tuple(images.shape[1:])}, {images.dtype}; "
                f"expected {self.shape}, torch.uint8"
            )
        if len(images) != len(labels):
            raise ValueError(f"{name}: found {len(images)} images and {len(labels)} labels")
        if len(labels) == 0 or labels.min() < 0 or labels.max() >= self.classes:
            found = f"from {labels.min()} to {labels.max()}" if len(labels) else "none"
            raise ValueError(f"{name}: found labels {found}, expected 0 to {self.classes - 1}")
        return Images(images, labels.long())

    def _split(self, images: Images) -> tuple[Images, Images]:
        share = self.validation < 1
        held = round(self.validation * len(images)) if share else int(self.validation)
        if held >= len(images) or (self.validation > 0 and held == 0):
            raise ValueError(
                f"validation: {self.validation} sets {held} of {len(images)} images aside, "
                "expected at least one there and one left to train on"
            )
        order = stratified(images.labels, self.split_seed)
        validation = images.subset(order[:held])
        training = images.subset(order[held:])
        if self.limit is None:
            return training, validation
        _check("limit", self.limit, self.classes, len(training))
        order = stratified(training.labels, self.split_seed, balanced=True)
        return training.subset(order[: self.limit]), validation

    def _loader(self, images: Images, sampler: Order[Batch] | None = None) -> DataLoader[Batch]:
        # Lightning's advice to use more workers is no good where a batch is one gather.
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        # A last batch of few images would unsettle batch normalisation.
        drop_last = sampler is not None and len(sampler) > self.batch_size
        loader = ResumableLoader if sampler is not None else DataLoader
        return loader(
            images,
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=whole,
            drop_last=drop_last,
        )


def _check(name: str, value: int, low: int, high: int | None = None) -> None:
    if value < low or (high is not None and value > high):
        expected = f"at least {low}" if high is None else f"a number from {low} to {high}"
        raise ValueError(f"{name}: expected {expected}, got {value}")


def _ready(images: Images | None) -> Images:
    if images is None:
        raise RuntimeError("the data are not read yet: call setup() before asking for a loader")
    return images
