"""Data sets of one's own, whose shape, classes and statistics follow from the data."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from neurodyn.data.arrays import Layout
from neurodyn.data.base import SampleData
from neurodyn.data.samples import Samples, set_aside
from neurodyn.data.targets import Targets


@dataclass(frozen=True)
class Facts:
    """What was found out about a data set. A checkpoint keeps it: new samples are prepared by it.

    Args:
        layout: images `(C, H, W)`, sequences `(T, *features)` or rows of features `(F,)`.
        sample: the shape of one sample as it is kept.
        targets: what a network is asked for.
        mean, std: of the training set, one per channel or feature; empty to leave samples as they
            are.
        peak: the value that counts as one.
    """

    layout: Layout
    sample: tuple[int, ...]
    targets: Targets
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    peak: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """A network's input at one timestep."""
        return self.sample[1:] if self.layout == "sequences" else self.sample

    @property
    def steps(self) -> int | None:
        """Timesteps of a sample, with padding; None if samples have no time."""
        return self.sample[0] if self.layout == "sequences" else None

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Facts:
        """The facts of which `asdict` made the state."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in state.items()
        }
        return cls(**{**plain, "targets": Targets(**state["targets"])})


class OwnData(SampleData):
    """Base of the data sets that say nothing of their content themselves: it is found out from the
    samples (`look`) when it is first asked for. The constructor reads nothing.
    """

    test: int | float = 0.2
    """Share or number of the samples that are the test set if the data have none."""

    _facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """What was found out, from the samples or from a checkpoint."""
        if self._facts is None:
            self._facts = self.look()
        return self._facts

    def look(self) -> Facts:
        """Find out what the samples are."""
        raise NotImplementedError(f"{type(self).__name__} does not define its look")

    def parts(self) -> Collection[str]:
        """The parts that the data have: "train" and perhaps "validation" and "test"."""
        raise NotImplementedError(f"{type(self).__name__} does not define its parts")

    def part(self, name: str) -> Samples:
        """All samples of a part that the data have."""
        raise NotImplementedError(f"{type(self).__name__} does not define its part")

    def open(self, train: bool) -> Samples:
        if not train and "test" in self.parts():
            return self.part("test")
        whole = self.part("train")
        training, test = self.split_off(self.targets.strata(whole.labels))
        if not train and not len(test):
            raise ValueError(f"{self.title}: there is no test set, as test is {self.test}")
        return whole.subset(training if train else test)

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        if "validation" in self.parts():
            return samples, self.part("validation")
        return super().split(samples)

    def split_off(self, strata: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of "train" that are trained on and, if there is no test set, those that are one.

        Args:
            strata: the class of each sample, `(N,)`.
        """
        if "test" in self.parts() or not self.test:
            return torch.arange(len(strata)), torch.arange(0)
        training, test = set_aside("test", self.test, strata, self.split_seed)
        tell(
            f"{self.title}: no test set was given, so {len(test):,} of {len(strata):,} "
            "samples are set aside as one (test)"
        )
        return training.sort().values, test.sort().values

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.facts.shape

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.facts.sample

    @property
    def targets(self) -> Targets:
        return self.facts.targets

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "facts": asdict(self.facts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the facts of a checkpoint: new samples then need no training files."""
        if "facts" in state_dict:
            self._facts = Facts.from_state(state_dict["facts"])


def standardised(values: Tensor, mean: Sequence[float], std: Sequence[float], dim: int) -> Tensor:
    """Values with mean 0 and standard deviation 1 in each place along a dimension."""
    after = [1] * (values.ndim - dim - 1)
    return (values - values.new_tensor(mean).reshape(-1, *after)) / values.new_tensor(std).reshape(
        -1, *after
    )


def check_test(test: float) -> None:
    """Refuse a share or number of test samples that is none."""
    if not (0 <= test < 1 or (test == int(test) and test > 0)):
        raise ValueError(
            f"test: expected a share from 0 to below 1 or a whole number of samples, got {test}"
        )


@cache
def tell(text: str) -> None:
    """Say once what was taken for granted."""
    tqdm.write(f"neurodyn: {text}", file=sys.stderr)
