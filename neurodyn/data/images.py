"""Images held in memory: whole batches by index, and stratified samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

Batch = tuple[Tensor, Tensor]


class Images(Dataset[Batch]):
    """Images and their labels as two tensors.

    A `DataLoader` that gets `collate_fn=whole` takes a batch in one gather instead of one image
    after the other, so no worker processes are needed to keep a device busy.

    Args:
        images: `(N, C, H, W)`, uint8.
        labels: `(N,)`, int64.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.images[index], self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return self.images[chosen], self.labels[chosen]

    def subset(self, indices: Tensor) -> Images:
        """The images at the indices, in their order."""
        return Images(self.images[indices], self.labels[indices])


def whole(batch: Any) -> Any:
    """The collate function for `Images`: its batches come whole."""
    return batch


def stratified(labels: Tensor, seed: int, *, balanced: bool = False) -> Tensor:
    """A random order of all samples in which every prefix is stratified.

    So a sample of n is the first n of it, and a smaller sample is part of every larger one.

    Args:
        labels: the class of each sample, `(N,)`.
        seed: what the order depends on, beside the labels.
        balanced: classes equally often, as far as they go, in place of in proportion to their size.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    classes, by_class = labels[shuffled].sort(stable=True)
    counts = labels.bincount()
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[classes]
    # Proportional: the k-th of m stands at (k + 1/2) / m of the way (Webster's apportionment).
    place = rank.double() if balanced else (rank + 0.5).double() / counts[classes]
    # Back among the shuffled, so that a stable sort breaks ties at random and not by class.
    place = torch.empty_like(place).scatter_(0, by_class, place)
    return shuffled[place.argsort(stable=True)]
