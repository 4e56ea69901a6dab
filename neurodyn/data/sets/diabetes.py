"""A table that scikit-learn bundles: how a disease went on, from ten measurements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.data.base import SampleData
from neurodyn.data.samples import Batch
from neurodyn.data.targets import Targets
from neurodyn.errors import require


class Diabetes(SampleData):
    """442 patients with ten measurements each; the target is a measure of how far their diabetes
    had progressed a year later, from 25 to 346 (Efron et al. 2004). Needs no files.

    A patient is a row `(10,)`, shown at every step. Each measurement has mean 0 and variance 1 over
    all patients. There is no published split: 89 patients, drawn with seed 0, are the test set.

    Args:
        options: as `SampleData`.
    """

    shape = (10,)
    dtypes = (torch.float32,)

    def __init__(self, root: str = "~/.cache/neurodyn/data", **options: Any) -> None:
        super().__init__(root, **options)
        self._rows: tuple[Tensor, Tensor] | None = None

    @property
    def targets(self) -> Targets:
        _, values = self.read(train=True)
        return Targets("values", 1, names=("progression",)).scaled(values)

    def read(self, train: bool) -> Batch:
        if self._rows is None:
            x, y = require("sklearn.datasets", "train").load_diabetes(return_X_y=True)
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
            scaled = torch.from_numpy(x).float() * len(x) ** 0.5
            self._rows = scaled[order], torch.from_numpy(y).float()[order]
        test = len(self._rows[0]) // 5 + 1
        return tuple(part[test:] if train else part[:test] for part in self._rows)

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        return samples, labels
