"""The waves of an electrocardiogram, labelled at every step."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch

from neurodyn.data import catalogue
from neurodyn.data.formats.child import decoded
from neurodyn.data.formats.reading import reading
from neurodyn.data.samples import Batch
from neurodyn.data.sequences import SequenceData
from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.errors import unknown


class QTDB(SequenceData):
    """Electrocardiograms of the QT Database (Laguna et al. 1997), as Yin et al. (2021) cut and
    coded them: 618 and 141 sequences of 1,301 steps of 4 ms. Files: `qtdb/QTDB_{train,test}.mat`.

    Two leads are coded by level crossings: a channel each for their ups and downs, in {-1, 0, 1}.
    Every step belongs to one of six parts of the heart beat. 8.2 % of the training steps and 10.4 %
    of the test steps have no label. They are left out of the loss and the accuracy, and the
    accuracy with these steps counted as P, as published figures have it, stands beside.

    Args:
        root: folder that holds the data sets.
        unlabelled: "P" trains and measures with unlabelled steps as P, to compare like with like.
        options: as `SampleData`.
    """

    shape, steps = (4,), 1301
    dtypes = (torch.int8,)
    source = catalogue.QTDB

    NAMES: ClassVar[tuple[str, ...]] = ("P", "PQ", "QR", "RS", "ST", "TP")

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        unlabelled: Literal["left out", "P"] = "left out",
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        if unlabelled not in ("left out", "P"):
            raise unknown("unlabelled", unlabelled, ("left out", "P"))
        self.unlabelled = unlabelled

    @property
    def targets(self) -> Targets:
        default = 0 if self.unlabelled == "left out" else None
        return Targets("classes", 6, per_step=True, names=self.NAMES, default=default)

    def signal(self, x: torch.Tensor) -> torch.Tensor:
        """The two leads in levels, `(T, 2)`, rebuilt from the crossings `(T, 4)` of one sample and
        without their drift, for pictures."""
        up, down = x[:, 0::2].double(), x[:, 1::2].double()
        level = (up - down).cumsum(0)
        return level - torch.linspace(0, 1, len(x)).double()[:, None] * level[-1]

    def read(self, train: bool) -> Batch:
        path = self.find(f"QTDB_{'train' if train else 'test'}.mat")
        with reading(path, "a complete MATLAB file with x (N, 1301, 4) and y (N, 1301, 6)"):
            x, y = (next(decoded("matlab", path, "audio", name=name)) for name in "xy")
            if x.shape[1:] != self.sample_shape or y.shape != (*x.shape[:2], 6):
                raise ValueError(f"found x {x.shape} and y {y.shape}")
            if np.abs(x).max(initial=0) > 1:
                raise ValueError("found x outside -1 to 1")
            if (y > 1).any() or (y.sum(-1) > 1).any():
                raise ValueError("found steps with several labels")
        labels = torch.from_numpy(y.argmax(-1))
        if self.unlabelled == "left out":
            labels[torch.from_numpy(y.sum(-1) == 0)] = UNLABELLED
        return torch.from_numpy(x.astype(np.int8)), labels
