"""PyTorch's data sets as arrays: read once, item by item."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, TypeGuard

import numpy as np
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from neurodyn.data.arrays import Array, Part, as_array
from neurodyn.data.sets.arrays import ArrayData, Parts

MEMORY = 2**33
"""Bytes of samples that are read into memory; more are refused."""


class DatasetData(ArrayData):
    """Any data set of PyTorch's with a length, whose items are `(x, y)`: read once into memory.

    Items whose first dimension differs are sequences of different lengths, and padded.

    Args:
        train: training samples.
        test: the test set, or as for `ArrayData` a share or number of the training samples.
        validation: the same for the validation samples.
        options: as `ArrayData`.
    """

    def __init__(
        self,
        train: Dataset[Any],
        test: Dataset[Any] | int | float = 0.2,
        validation: Dataset[Any] | int | float = 0.1,
        **options: Any,
    ) -> None:
        sets = {"train": train, "test": test, "validation": validation}
        self._sets = {part: given for part, given in sets.items() if not is_number(given)}
        for part, found in self._sets.items():
            if not isinstance(found, Sized) or not hasattr(found, "__getitem__"):
                raise ValueError(
                    f"{part}: expected a data set with a length and items by their number, got "
                    f"{type(found).__name__}"
                )
        shares: dict[str, Any] = {part: given for part, given in sets.items() if is_number(given)}
        super().__init__(**shares, **options)
        self._read: dict[str, Part] | None = None

    def load(self) -> Parts:
        if self._read is None:
            self._read = {part: read_items(found, part) for part, found in self._sets.items()}
        return self._read


def is_number(given: Any) -> TypeGuard[int | float]:
    """Whether a part is given as a share or a number of samples."""
    return isinstance(given, int | float)


def read_items(items: Any, part: str) -> Part:
    """All items of a data set, as arrays.

    Raises:
        ValueError: an item is not a sample and its target, or they do not fit together or into
            memory.
    """
    if not len(items):
        raise ValueError(f"{part}: found no items")
    samples, targets, size = [], [], 0
    for number in tqdm(range(len(items)), f"reading {part}", leave=False, disable=None):
        item = items[number]
        if not isinstance(item, tuple | list) or len(item) != 2:
            kind = type(item).__name__
            held = f" of {len(item)}" if isinstance(item, tuple | list) else ""
            raise ValueError(
                f"{part}: found an item that is a {kind}{held}, expected (x, y): a sample and its "
                "target. A data set that gives these from yours is a few lines"
            )
        x, y = item
        samples.append(_sample(x, f"{part}: x of item {number}"))
        targets.append(as_array(y, f"{part}: y of item {number}") if np.ndim(y) else np.asarray(y))
        size += samples[-1].nbytes
        if size > MEMORY:
            raise ValueError(
                f"{part}: found more than {MEMORY:,} bytes of samples, which is more than is read "
                "into memory; write them to a .npy, which is mapped (ArrayFile)"
            )
    lengths = None
    if len({x.shape for x in samples}) > 1:
        lengths = np.array([len(x) if x.ndim else 0 for x in samples])
        if len({x.shape[1:] for x in samples}) > 1 or not lengths.all():
            other = next(x.shape for x in samples if x.shape != samples[0].shape)
            raise ValueError(
                f"{part}: found samples of shape {samples[0].shape} and {other}, expected one "
                "shape, or sequences (T, ...) that differ in T"
            )
    return Part(_stacked(samples, 0), _stacked(_like_samples(targets, lengths), 0), lengths)


def _sample(x: Any, name: str) -> Array:
    if hasattr(x, "getbands"):  # An image of Pillow's.
        array = np.asarray(x)
        return array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    return as_array(x, name)


def _like_samples(targets: list[Array], lengths: Array | None) -> list[Array]:
    """Targets; those per step of a shorter sample are padded with steps without a target."""
    if len({y.shape for y in targets}) == 1:
        return targets
    if lengths is None or any(len(y) != n for y, n in zip(targets, lengths, strict=True)):
        other = next(y.shape for y in targets if y.shape != targets[0].shape)
        raise ValueError(f"found targets of shape {targets[0].shape} and {other}, expected one")
    return targets


def _stacked(arrays: list[Array], filling: float) -> Array:
    """Arrays in one, the shorter ones padded."""
    if len({a.shape for a in arrays}) == 1:
        return np.stack(arrays)
    longest = max(map(len, arrays))
    whole = np.full((len(arrays), longest, *arrays[0].shape[1:]), filling, arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return whole
