"""Training batches in an order that can be resumed at any batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from torch.utils.data import DataLoader, DistributedSampler

T_co = TypeVar("T_co", covariant=True)


class Order(DistributedSampler[T_co]):
    """PyTorch's distributed sampler, used on one device too: its order depends only on the seed and
    the epoch. Lightning tells it the epoch. It can leave out the first samples of an epoch."""

    left_out = 0

    def __iter__(self) -> Iterator[T_co]:
        return islice(super().__iter__(), self.left_out, None)


class ResumableLoader(DataLoader[T_co]):
    """A loader whose checkpointed state is the epoch and the batch within it.

    Made with `sampler=Order(...)`. A resumed epoch begins with its next batch; earlier ones are not
    read. Its length stays that of the whole epoch, as Lightning expects.
    """

    sampler: Order[T_co]
    given = 0
    resume: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator: this runs with the first batch, when Lightning has told the epoch.
        epoch, first = self.resume or (-1, 0)
        self.resume = None
        self.given = first if epoch == self.sampler.epoch else 0
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(self.sampler.epoch)
        self.sampler.left_out = self.given * (self.batch_size or 1)
        for batch in super().__iter__():
            self.given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands."""
        return {"epoch": self.sampler.epoch, "batches": self.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self.resume = state["epoch"], state["batches"]


def global_seed() -> int:
    """The seed of `lightning.seed_everything`, 0 without."""
    # Lightning's own convention: the same number in every process of a distributed run.
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


def mix(*numbers: int) -> int:
    """One seed from several numbers, without the coincidences that adding them would give."""
    # 63 bits: the distributed sampler adds the epoch to it.
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
