"""Samples held in memory: whole batches by index, and stratified samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

Batch = tuple[Tensor, Tensor]


class Values(Protocol):
    """Gives the samples at some rows: a tensor, or files that are read when asked for."""

    def __getitem__(self, rows: Tensor, /) -> Tensor: ...


class Samples(Dataset[Batch]):
    """Samples and their labels as two tensors, or some rows of them.

    With `collate_fn=whole`, a `DataLoader` takes a batch in one gather instead of sample by sample.
    No worker processes are then needed to keep a device busy.

    Args:
        values: `(N, *shape)`; may lie in a memory-mapped file or in many files. Only the rows asked
            for are read.
        labels: `(N,)`, int64.
        rows: the rows that these samples are, in their order; all unless given.
    """

    def __init__(self, values: Values, labels: Tensor, rows: Tensor | None = None) -> None:
        self.values = values
        self.rows = torch.arange(len(labels)) if rows is None else rows
        self.labels = labels if rows is None else labels[rows]
        self.all_labels = labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        return self.values[self.rows[index]], self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return self.values[self.rows[chosen]], self.labels[chosen]

    def set_epoch(self, epoch: int) -> None:
        """Tell the epoch to values that differ from epoch to epoch."""
        if hasattr(self.values, "set_epoch"):
            self.values.set_epoch(epoch)

    def subset(self, indices: Tensor) -> Samples:
        """The samples at the indices, in their order; nothing is copied."""
        return Samples(self.values, self.all_labels, self.rows[indices])


def whole(batch: Any) -> Any:
    """The collate function for `Samples`: its batches come whole."""
    return batch


def class_labels(labels: Any, classes: int, name: str) -> Tensor:
    """Labels as `(N,)`, int64.

    Args:
        labels: whole numbers of any type, in a tensor, an array or a sequence.
        classes: how many classes there are.
        name: of the samples, for the error.

    Raises:
        ValueError: the labels have another shape, or one is not a class.
    """
    wanted = f"expected one whole number from 0 to {classes - 1} per sample, (N,)"
    try:
        found = labels if isinstance(labels, Tensor) else torch.as_tensor(np.asarray(labels))
    except (TypeError, ValueError) as error:
        kind = type(labels).__name__
        raise ValueError(f"{name}: found labels in a {kind} ({error}), {wanted}") from error
    if found.ndim != 1:
        advice = "labels[:, 0]" if found.shape[-1:] == (1,) else "labels.argmax(1) of one-hot ones"
        hint = f"; take {advice}" if found.ndim == 2 else ""
        raise ValueError(f"{name}: found labels of shape {tuple(found.shape)}, {wanted}{hint}")
    if found.is_complex():
        raise ValueError(f"{name}: found labels of {found.dtype}, {wanted}")
    if found.is_floating_point() and not (whole := found == found.trunc()).all():
        raise ValueError(f"{name}: found the label {found[~whole][0].item():g}, {wanted}")
    if not len(found):
        raise ValueError(f"{name}: found labels none, expected 0 to {classes - 1}")
    # PyTorch has no minimum of some unsigned types; as int64, their largest numbers are negative.
    low, high = (found if found.is_floating_point() else found.long()).aminmax()
    if low < 0 or high >= classes:
        span = f"from {low.item():g} to {high.item():g}"
        raise ValueError(f"{name}: found labels {span}, expected 0 to {classes - 1}")
    return found.long()


def stratified(labels: Tensor, seed: int, *, balanced: bool = False) -> Tensor:
    """A random order of all samples in which every prefix is stratified.

    So a sample of n is the first n of it, and a smaller sample is part of every larger one.

    Args:
        labels: the class of each sample, `(N,)`.
        seed: the order depends only on this and the labels.
        balanced: take all classes equally often, as far as they go, instead of in proportion to
            their size.
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
