"""New samples, and the test set, in batches as a network gets them outside training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

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

    def transform(self, values: Any, lengths: Any | None = None) -> Tensor:
        """Samples as the network gets them: `(T, B, *shape)`, or images `(B, C, H, W)`."""
        samples = self.kept(values).to(self.device)
        if lengths is not None:
            samples = samples[:, : int(torch.as_tensor(lengths).max())]
        x = self.data.as_input(samples)
        times = x.ndim - len(self.shape)
        if times not in (1, 2) or tuple(x.shape[times:]) != self.shape:
            wanted = ", ".join(map(str, ("N", *self.sample_shape)))
            raise ValueError(
                f"values: expected samples ({wanted}) as {self.name} keeps them, "
                f"got {tuple(samples.shape)}"
            )
        return x

    def kept(self, values: Any) -> Tensor:
        """Samples in a type that the data set keeps, if nothing is lost by that."""
        samples = torch.as_tensor(values)
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
            values = self.kept(values)
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
        if batch_size and isinstance(self.data, SampleData):
            self.data.batch_size = batch_size
        self.data.prepare_data()
        self.data.setup("test")
        batches: Iterable[Any] = self.data.test_dataloader()
        for batch in tqdm(batches, unit="batch", disable=not progress, dynamic_ncols=True):
            # As Lightning's trainer does it.
            before = self.data.on_before_batch_transfer(batch, 0)
            moved = self.data.transfer_batch_to_device(before, self.device, 0)
            x, _, *lengths = self.data.on_after_batch_transfer(moved, 0)
            yield x, lengths[0] if lengths else None, x.shape[x.ndim - len(self.shape) - 1]
