"""New samples, and the test set, in batches as a network gets them outside training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from neurodyn.data import SampleData
from neurodyn.data.adapted import AdaptedModule
from neurodyn.data.samples import Files

BATCH = 128
"""Samples at a time, if the data set does not say how many."""

Inputs = tuple[Tensor, Tensor | None, int]
"""A batch as the network gets it, the steps of each sample if they differ, and their number."""


class Feed:
    """Prepares samples for a network as their data set does it, on a device.

    Args:
        data: the data set.
        device: where the network is.
    """

    def __init__(self, data: SampleData | AdaptedModule, device: torch.device) -> None:
        self.data, self.device = data, device

    @property
    def name(self) -> str:
        """The class of the data set."""
        return str(getattr(self.data, "title", type(self.data).__name__))

    @property
    def shape(self) -> tuple[int, ...]:
        """The network's input at one timestep, without the batch."""
        return tuple(self.data.shape)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """One sample as the data set keeps it."""
        return tuple(getattr(self.data, "sample_shape", self.data.shape))

    @property
    def has_time(self) -> bool:
        """Whether samples have timesteps of their own."""
        return hasattr(self.data, "steps") or len(self.sample_shape) > len(self.shape)

    def transform(self, values: Any, lengths: Any | None = None) -> Tensor:
        """Samples as the network gets them: `(T, B, *shape)`, or images `(B, C, H, W)`."""
        samples = self.kept(values, lengths).to(self.device)
        if lengths is not None:
            samples = samples[:, : int(torch.as_tensor(lengths).max())]
        if not self.has_time and tuple(samples.shape[1:]) != self.sample_shape:
            raise self._misshapen(samples)
        x = self.data.as_input(samples)
        times = x.ndim - len(self.shape)
        if times not in (1, 2) or tuple(x.shape[times:]) != self.shape:
            raise self._misshapen(samples)
        return x

    def _misshapen(self, samples: Tensor) -> ValueError:
        wanted = ", ".join(map(str, ("N", *self.sample_shape)))
        return ValueError(
            f"values: expected samples ({wanted}) as {self.name} keeps them, "
            f"got {tuple(samples.shape)}"
        )

    def kept(self, values: Any, lengths: Any | None = None) -> Tensor:
        """Finite samples in a type that the data set keeps, if nothing is lost by that."""
        if isinstance(values, str | Path) or (
            isinstance(values, list | tuple) and values and isinstance(values[0], str | Path)
        ):
            raise TypeError(
                "values: expected samples, got the path of a file; run.data.read_files([...]) "
                "reads files"
            )
        if isinstance(values, list) and values and isinstance(values[0], np.ndarray):
            values = np.array(values)
        samples = torch.as_tensor(values)
        _check_finite(samples, lengths)
        known = getattr(self.data, "dtypes", ())
        if not known or samples.dtype in known:
            return samples
        fractions = [dtype for dtype in known if dtype.is_floating_point]
        kept = samples.to(fractions[0] if fractions else known[0])
        if not fractions and not torch.equal(kept.double(), samples.double()):
            raise ValueError(
                f"values: expected {' or '.join(map(str, known))} as {self.name} keeps its "
                f"samples, got {samples.dtype} from {samples.min():g} to {samples.max():g}; "
                "`scores` takes a batch that is prepared already"
            )
        return kept

    def batches(
        self, values: Any, lengths: Any | None, batch_size: int | None, *, progress: bool
    ) -> Iterator[Inputs]:
        """Samples, or files that are read when it is their turn."""
        if isinstance(values, Files):
            values, lengths, total = values.values, values.lengths, len(values.names)
        else:
            values = self.kept(values, lengths)
            total = len(values)
        if not total:
            raise ValueError("values: expected at least one sample, got none")
        steps = None if lengths is None else torch.as_tensor(lengths)
        if steps is not None and steps.shape != (total,):
            raise ValueError(
                f"lengths: expected one number for each of {total} samples, got "
                f"{tuple(steps.shape)}"
            )
        size = batch_size or getattr(self.data, "batch_size", BATCH)
        with tqdm(total=total, unit="sample", disable=not progress, dynamic_ncols=True) as bar:
            for rows in torch.arange(total).split(size):
                own = None if steps is None else steps[rows].to(self.device)
                yield self.transform(values[rows], own), own, len(rows)
                bar.update(len(rows))

    def test_batches(self, batch_size: int | None, *, progress: bool) -> Iterator[Inputs]:
        """The test set, which is read for that."""
        for x, _, lengths in self.labelled_batches(batch_size, progress=progress):
            yield x, lengths, x.shape[x.ndim - len(self.shape) - 1]

    def labelled_batches(
        self, batch_size: int | None, *, progress: bool
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """The test set with its targets: inputs, targets, and the steps of each sample if they
        differ."""
        if batch_size and isinstance(self.data, SampleData):
            self.data.batch_size = batch_size
        self.data.prepare_data()
        self.data.setup("test")
        batches: Iterable[Any] = self.data.test_dataloader()
        for batch in tqdm(batches, unit="batch", disable=not progress, dynamic_ncols=True):
            # As Lightning's trainer does it.
            before = self.data.on_before_batch_transfer(batch, 0)
            moved = self.data.transfer_batch_to_device(before, self.device, 0)
            x, targets, *lengths = self.data.on_after_batch_transfer(moved, 0)
            yield x, targets, lengths[0] if lengths else None


def _check_finite(samples: Tensor, lengths: Any | None) -> None:
    """Refuse a sample with NaN or infinity; padding may hold anything."""
    if not samples.is_floating_point() or not samples.ndim:
        return
    bad = ~samples.isfinite()
    if lengths is not None:
        padding = torch.arange(samples.shape[1]) >= torch.as_tensor(lengths).cpu()[:, None]
        bad[padding.to(bad.device)] = False
    if bad.any():
        row = int(bad.flatten(1).any(1).int().argmax()) if bad.ndim > 1 else int(bad.int().argmax())
        raise ValueError(f"values: found NaN or infinity in sample {row}")
