"""Data modules of Lightning's that are not ours, as data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler
from tqdm.auto import tqdm

from neurodyn.data.arrays import Array, as_array, has_steps, layout_of
from neurodyn.data.base import SampleData
from neurodyn.data.facts import Facts
from neurodyn.data.guess import Coding, coding_of, without_padding
from neurodyn.data.loader import global_seed, mix
from neurodyn.data.samples import Batch, Files
from neurodyn.data.targets import UNLABELLED, Targets


def adapted(module: lightning.LightningDataModule) -> SampleData | AdaptedModule:
    """A data module as the rest of neurodyn takes it: ours as it is, another adapted, once."""
    if isinstance(module, SampleData | AdaptedModule):
        return module
    found: AdaptedModule = vars(module).setdefault("_adapted", AdaptedModule(module))
    return found


class AdaptedModule(lightning.LightningDataModule):
    """A data module of one's own. Its batches `(x, y)` or `(x, y, lengths)` have the samples first:
    images `(B, C, H, W)`, sequences `(B, T, F)`, rows of features `(B, F)`. The network gets
    sequences with the time first.

    The first training batch says what samples and targets are, by the rules for arrays. These
    attributes of the module say otherwise: `layout`, `task`, `time_first` (sequences and targets
    per step come as `(T, B, ...)`), and `classes` or `num_classes`: how many there are, or their
    names. Without them the training labels are read once to count.

    A loader that shuffles draws from a generator that depends on the seed alone, so all neurons
    see the samples in one order. Its place within an epoch is not kept.
    """

    def __init__(self, module: lightning.LightningDataModule) -> None:
        super().__init__()
        self.module = module
        self.time_first = bool(getattr(module, "time_first", False))
        self._facts: Facts | None = None
        self._coding: Coding | None = None
        self._stages: set[str | None] = set()

    @property
    def title(self) -> str:
        """The class of the module, for errors."""
        return type(self.module).__name__

    @property
    def facts(self) -> Facts:
        """What was found out, from the first batch or from a checkpoint."""
        if self._facts is None:
            self._facts = self._look()
        return self._facts

    @property
    def coding(self) -> Coding:
        """How the module's targets are coded. A checkpoint does not hold it."""
        if self._coding is None:
            found = self._look()
            self._facts = self._facts or found
        assert self._coding is not None
        return self._coding

    @property
    def shape(self) -> tuple[int, ...]:
        """A network's input at one timestep."""
        return self.facts.shape

    @property
    def steps(self) -> int | None:
        """Timesteps of the first sequences, with padding; None if samples have no time."""
        return self.facts.steps

    @property
    def targets(self) -> Targets:
        """What a network is asked for."""
        return self.facts.targets

    @property
    def outputs(self) -> int:
        """The outputs of a network per step."""
        return self.targets.outputs

    @property
    def validation(self) -> int:
        """Whether there are validation samples: 0 if there are none."""
        return int(is_overridden("val_dataloader", self.module, lightning.LightningDataModule))

    def prepare_data(self) -> None:
        if "download" not in self._stages:
            self.module.prepare_data()
            self._stages.add("download")

    def setup(self, stage: str | None = None) -> None:
        if self.trainer is not None:
            self.module.trainer = self.trainer
        name = str(getattr(stage, "value", stage))
        if name not in self._stages:
            self.module.setup(stage or "fit")
            self._stages.add(name)

    def teardown(self, stage: str) -> None:
        self.module.teardown(stage)

    def train_dataloader(self) -> Any:
        loader = self.module.train_dataloader()
        if isinstance(loader, DataLoader) and isinstance(loader.sampler, RandomSampler):
            draws = torch.Generator().manual_seed(mix(global_seed()))
            if loader.sampler.generator is None:
                loader.sampler.generator = loader.generator = draws
        return loader

    def val_dataloader(self) -> Any:
        return self.module.val_dataloader() if self.validation else []

    def test_dataloader(self) -> Any:
        return self.module.test_dataloader()

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        x, y, *lengths = self._unpacked(self.module.on_before_batch_transfer(batch, dataloader_idx))
        found = as_array(y, f"{self.title}: y")
        per_step, facts = self.targets.per_step, self.facts
        if per_step and self.time_first:
            found = found.swapaxes(0, 1)
        steps = x.shape[not self.time_first] if facts.layout == "sequences" else None
        coded = self.coding(found, self.title)
        if per_step and lengths:
            padding = np.arange(coded.shape[1]) >= as_array(lengths[0], "lengths")[:, None]
            coded = coded.copy()
            coded[padding] = self.targets.nothing
        return (x, self.targets.checked(coded, self.title, steps), *lengths)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        return self.module.transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        batch = self.module.on_after_batch_transfer(batch, dataloader_idx)
        x, y, *lengths = self._unpacked(batch)
        x = self._timed(x)
        if self.trainer is not None:
            x = self.trainer.precision_plugin.convert_input(x)
        return (x, y.transpose(0, 1) if self.targets.per_step else y, *lengths)

    def as_input(self, values: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Samples as the module's batches have them, as a network gets them."""
        return self._timed(values)

    def read_files(self, paths: str | Path | Sequence[str | Path]) -> Files:
        """Raises an error: how the module reads its files is not known."""
        raise ValueError(
            f"files: {self.title} does not say how it reads files; give its samples to `as_input`"
        )

    def fingerprint(self) -> str | None:
        """None: where the module's samples come from is not known."""
        return None

    def label_counts(self) -> Tensor:
        """How many labels each class has in the training set, `(classes,)`."""
        labels = torch.from_numpy(self.coding(self._labels(), self.title))
        return labels[labels != UNLABELLED].bincount(minlength=self.outputs)

    def state_dict(self) -> dict[str, Any]:
        kept = {"shape": list(self.shape), "targets": asdict(self.targets)}
        return {**kept, "facts": asdict(self.facts), "module": self.module.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.module.load_state_dict(state_dict["module"])
        if self._facts is None:
            self._facts = Facts.from_state(state_dict["facts"])

    def _timed(self, x: Tensor) -> Tensor:
        sequences = self.facts.layout == "sequences" and not self.time_first
        return (x.transpose(0, 1) if sequences else x).float()

    def _look(self) -> Facts:
        self.prepare_data()
        self.setup("fit")
        # What is drawn here must not change the network's weights.
        with torch.random.fork_rng(devices=[]):
            x, y, *lengths = self._unpacked(next(iter(self.module.train_dataloader())))
            shape = x.transpose(0, 1).shape if self.time_first else x.shape
            found = as_array(y, f"{self.title}: y")
            timed = self.time_first or bool(lengths) or has_steps(x.shape, found.shape)
            example = np.empty(shape, np.uint8)
            layout = layout_of(
                example, getattr(self.module, "layout", "auto"), timed=timed, name=self.title
            )
            facts = Facts(layout, tuple(shape[1:]), Targets("values", 1))
            steps = shape[1] if layout == "sequences" else None
            self._coding = self._coding_of(found, steps)
            targets = self._coding.targets
            if targets.kind == "values":
                every = self._labels().astype(np.float32)
                targets = targets.scaled(torch.from_numpy(every))
        return replace(facts, targets=targets)

    def _coding_of(self, y: Array, steps: int | None) -> Coding:
        """How targets are coded, from the first batch's, or all if classes have to be counted."""
        classes = getattr(self.module, "classes", getattr(self.module, "num_classes", None))
        names = None if classes is None or isinstance(classes, int) else [str(c) for c in classes]
        task: Any = getattr(self.module, "task", "auto")
        if y.dtype.kind in "iub" and task in ("auto", "classes") and classes is not None:
            per_step = steps is not None and y.ndim == 2
            if y.ndim == 1 + per_step:
                count = len(names) if names else int(classes)
                return Coding(Targets("classes", count, per_step, tuple(names or ())))
        if y.dtype.kind != "f" or ((y == 0) | (y == 1) | np.isnan(y)).all():
            timed = y.ndim > 1 and y.shape[1] == steps
            y = self._labels()
            steps = y.shape[1] if timed else steps
        return coding_of(y, steps, task, names, f"{self.title}: y")

    def _labels(self) -> Array:
        """The targets of the training set, samples first. Padding has none."""
        found, ends = [], []
        for batch in tqdm(self.module.train_dataloader(), "labels", leave=False, disable=None):
            x, y, *lengths = self._unpacked(batch)
            one = as_array(y, f"{self.title}: y")
            per_step = one.ndim > 1 and one.shape[:2] == x.shape[:2]
            one = one.swapaxes(0, 1) if self.time_first and per_step else one
            steps = one.shape[1] if per_step else 0
            found.append(one)
            ends.append(as_array(lengths[0], "lengths") if lengths else np.full(len(one), steps))
        if not per_step:
            return np.concatenate(found)
        longest = max(one.shape[1] for one in found)
        task: Any = getattr(self.module, "task", "auto")
        wider = [
            np.pad(one, ((0, 0), (0, longest - one.shape[1])) + ((0, 0),) * (one.ndim - 2))
            for one in found
        ]
        return without_padding(np.concatenate(wider), np.concatenate(ends), longest, task)

    def _unpacked(self, batch: Any) -> tuple[Any, ...]:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            kind = type(batch).__name__
            raise ValueError(
                f"{self.title}: found batches in a {kind}, expected (x, y) or (x, y, lengths)"
            )
        if not isinstance(batch[0], Tensor):
            kind = type(batch[0]).__name__
            raise ValueError(f"{self.title}: found samples in a {kind}, expected a tensor")
        return tuple(batch)
