"""Digits, MNIST, Fashion-MNIST and CIFAR."""

from __future__ import annotations

from typing import ClassVar

import torch

from neurodyn.data import catalogue
from neurodyn.data.formats.cifar import read_batch
from neurodyn.data.formats.idx import read_idx
from neurodyn.data.images import ImageData
from neurodyn.data.samples import Batch, stratified
from neurodyn.errors import require


class Digits(ImageData):
    """Handwritten digits, 8x8, grey: the 1,797 images that come with scikit-learn.

    They are the test set of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak
    1998) and have no published split. Here, 360 of them are the test set: stratified, and always
    the same. Nothing is read from `root`.
    """

    shape = (1, 8, 8)
    classes = 10
    mean = (0.3057,)
    std = (0.3760,)
    peak = 16
    licence: ClassVar[str] = "CC BY 4.0"

    TEST: ClassVar[int] = 360

    def read(self, train: bool) -> Batch:
        bunch = require("sklearn.datasets", "train").load_digits()
        images = torch.as_tensor(bunch.images, dtype=torch.uint8)[:, None]
        labels = torch.as_tensor(bunch.target)
        order = stratified(labels, seed=0)
        chosen = order[self.TEST :] if train else order[: self.TEST]
        return images[chosen], labels[chosen]


class MNIST(ImageData):
    """Handwritten digits, 28x28, grey: 60,000 and 10,000 images (LeCun et al. 1998)."""

    shape = (1, 28, 28)
    classes = 10
    mean = (0.1307,)
    std = (0.3081,)
    source = catalogue.MNIST

    def read(self, train: bool) -> Batch:
        part = "train" if train else "t10k"
        images = read_idx(self.find(f"{part}-images-idx3-ubyte"))
        labels = read_idx(self.find(f"{part}-labels-idx1-ubyte"))
        return images[:, None], labels.long()


class FashionMNIST(MNIST):
    """Articles of clothing, 28x28, grey: 60,000 and 10,000 images (Xiao et al. 2017)."""

    mean = (0.2860,)
    std = (0.3530,)
    source = catalogue.FASHION_MNIST


class CIFAR10(ImageData):
    """Photographs of 10 kinds of objects, 32x32, colour: 50,000 and 10,000 (Krizhevsky 2009)."""

    shape = (3, 32, 32)
    classes = 10
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)
    source = catalogue.CIFAR10

    training_files: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{n}" for n in range(1, 6))
    test_files: ClassVar[tuple[str, ...]] = ("test_batch",)
    labels: ClassVar[str] = "labels"

    def read(self, train: bool) -> Batch:
        names = self.training_files if train else self.test_files
        batches = [read_batch(self.find(name), self.labels) for name in names]
        images, labels = zip(*batches, strict=True)
        return torch.cat(images), torch.cat(labels)


class CIFAR100(CIFAR10):
    """Photographs of 100 kinds of objects, 32x32, colour: 50,000 and 10,000 (Krizhevsky 2009)."""

    classes = 100
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)
    source = catalogue.CIFAR100

    training_files = ("train",)
    test_files = ("test",)
    labels = "fine_labels"
