"""Samples in memory or in files: whole batches by index, and stratified samples of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

Batch = tuple[Tensor, ...]
"""Samples, targets and, if samples differ in length, the number of steps that each has."""


class Values(Protocol):
    """Gives the samples at some rows: a tensor, or files that are read when asked for."""

    def __getitem__(self, rows: Tensor, /) -> Tensor: ...


class RowsOfFiles:
    """Base of samples in files: only those asked for are read."""

    def read_row(self, row: int) -> np.ndarray[Any, Any]:
        """The sample of one row."""
        raise NotImplementedError(f"{type(self).__name__} does not define its read_row")

    def __getitem__(self, rows: Tensor) -> Tensor:
        if rows.ndim == 0:
            return torch.from_numpy(self.read_row(int(rows)))
        return torch.from_numpy(np.stack([self.read_row(row) for row in rows.tolist()]))


class FileValues(RowsOfFiles):
    """Files that are samples, one each.

    Args:
        paths: the files.
        read: reads one of them, as an array.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], np.ndarray[Any, Any]]) -> None:
        self.paths, self.read = paths, read

    def __len__(self) -> int:
        return len(self.paths)

    def read_row(self, row: int) -> np.ndarray[Any, Any]:
        return self.read(self.paths[row])


class Files(NamedTuple):
    """New samples from files of the user, `(N, *sample_shape)`.

    Samples whose numbers of steps differ are padded, and have `lengths` `(N,)`.
    """

    names: list[str]
    values: Values
    lengths: Tensor | None = None

    @classmethod
    def of(
        cls,
        given: str | Path | Sequence[str | Path],
        read: Callable[[Path], np.ndarray[Any, Any]],
    ) -> Files:
        """Files that are samples, one each: only those asked for are read."""
        names = [str(path) for path in ([given] if isinstance(given, str | Path) else given)]
        return cls(names, FileValues(paths_of(given), read))


def paths_of(given: str | Path | Sequence[str | Path]) -> list[Path]:
    """The paths of files, from one or several.

    Raises:
        ValueError: one of them is a folder.
    """
    paths = [Path(p).expanduser() for p in ([given] if isinstance(given, str | Path) else given)]
    for path in paths:
        if path.is_dir():
            raise ValueError(
                f"files: expected files, got the folder {path}; name those in it: {path}/*"
            )
    return paths


class Samples(Dataset[Batch]):
    """Samples and their targets as two tensors, or some rows of them.

    With `collate_fn=whole`, a `DataLoader` takes a batch in one gather instead of sample by sample.
    No worker processes are then needed to keep a device busy.

    Args:
        values: `(N, *shape)`; may lie in a memory-mapped file or in many files. Only the rows asked
            for are read.
        labels: the targets, `(N,)` or `(N, ...)`.
        rows: the rows that these samples are, in their order; all unless given.
        lengths: the number of steps of each sample, `(N,)`, int64; behind them is padding. None if
            all samples are as long as `values`.
    """

    def __init__(
        self,
        values: Values,
        labels: Tensor,
        rows: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> None:
        self.values, self.all_labels, self.lengths = values, labels, lengths
        self.rows = torch.arange(len(labels)) if rows is None else rows

    @property
    def labels(self) -> Tensor:
        """The targets of these samples."""
        return self.all_labels[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        return self._taken(self.rows[index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._taken(self.rows[torch.as_tensor(indices)])

    def _taken(self, rows: Tensor) -> Batch:
        taken = self.values[rows], self.all_labels[rows]
        return taken if self.lengths is None else (*taken, self.lengths[rows])

    def set_epoch(self, epoch: int) -> None:
        """Tell the epoch to values that differ from epoch to epoch."""
        if hasattr(self.values, "set_epoch"):
            self.values.set_epoch(epoch)

    def subset(self, indices: Tensor) -> Samples:
        """The samples at the indices, in their order; nothing is copied."""
        return Samples(self.values, self.all_labels, self.rows[indices], self.lengths)


def whole(batch: Any) -> Any:
    """The collate function for `Samples`: its batches come whole."""
    return batch


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


def set_aside(name: str, given: float, strata: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The rows that are left, and those of a stratified part that is set aside.

    Args:
        name: of the part, for the error.
        given: its share of the samples (below 1), or its number of them; 0 for none.
        strata: the class of each sample, `(N,)`.
        seed: of the choice.

    Raises:
        ValueError: nothing would be left, or nothing would be set aside though it was asked for.
    """
    total = len(strata)
    held = round(given * total) if given < 1 else int(given)
    if held >= total or (given > 0 and held == 0):
        raise ValueError(
            f"{name}: {given} sets {held} of {total} samples aside, expected at least one there "
            "and one left to train on; give more samples, or a whole number of them"
        )
    order = stratified(strata, seed)
    return order[held:], order[:held]
