"""Data sets of a user's own, as the tests of trained models need them."""

from __future__ import annotations

import numpy as np
import torch

from neurodyn.data import Digits, SequenceData
from neurodyn.data.samples import Files
from neurodyn.data.targets import Targets


class Arrays:
    """`.npy` files, read when they are asked for."""

    def __init__(self, paths):
        self.paths = [str(path) for path in paths]

    def __getitem__(self, rows):
        return torch.stack([self.read(self.paths[row]) for row in rows.tolist()])

    def read(self, path):
        try:
            return torch.from_numpy(np.load(path))
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path}: expected an array, got {error}") from error


class FileDigits(Digits):
    """Digits that can be read from `.npy` files too."""

    def read_files(self, paths):
        values = Arrays(paths)
        return Files(values.paths, values)


class Courses(SequenceData):
    """Noisy sequences of 4 to 12 steps. Which targets they have is an option."""

    shape, steps = (3,), 12
    dtypes = (torch.float32,)

    def __init__(self, kind: str = "classes", per_step: bool = False, **options):
        super().__init__(**options)
        self.kind, self.per_step = kind, per_step

    @property
    def targets(self):
        names = {"classes": ("up", "down"), "labels": ("a", "b"), "values": ("speed", "force")}
        scale = {"mean": (1.0, -2.0), "std": (2.0, 3.0)} if self.kind == "values" else {}
        return Targets(self.kind, 2, self.per_step, names[self.kind], **scale)

    def read(self, train):
        rng = torch.Generator().manual_seed(int(train))
        x = torch.randn(48, self.steps, 3, generator=rng)
        lengths = torch.randint(4, self.steps + 1, (48,), generator=rng)
        shape = self.targets.shape(self.steps)
        found = torch.rand(48, *shape, generator=rng)
        whole = found if self.kind == "values" else (found < 0.5).long()
        return x, whole, lengths

    def read_files(self, paths):
        return Files([str(path) for path in paths], *self.read(False)[::2])
