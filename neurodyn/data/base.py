"""The Lightning data module that all data sets share: read, split, load in a reproducible order."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from neurodyn.data.archive import Source, folder_of
from neurodyn.data.checking import check_samples, check_targets
from neurodyn.data.fingerprint import below, of_files
from neurodyn.data.loader import Order, ResumableLoader, global_seed, mix
from neurodyn.data.samples import Batch, Files, Samples, set_aside, stratified, whole
from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.errors import check


class SampleData(lightning.LightningDataModule):
    """Base of the data sets. Samples stay in memory in their compact form. They become a network's
    input batch by batch, on their device.

    A subclass reads its samples (`read`) and prepares a batch of them (`prepare`). `ImageData` and
    `SequenceData` prepare images and samples that have time.

    The test set is the published one; validation samples are taken from the training set. The order
    of the training samples depends on the seed of `lightning.seed_everything` (0 without) and the
    epoch. The augmentation of a batch depends on the seed and the number of batches before it.
    Neither depends on random numbers drawn elsewhere. So models trained with the same seed see the
    same samples, and a resumed training sees the samples that an uninterrupted one would have seen.

    Args:
        root: folder that holds the data sets.
        download: fetch what is missing there.
        batch_size: samples per batch and device.
        validation: share (below 1) or number of the training samples that are set aside for
            validation, stratified by class; 0 for none.
        split_seed: seed of the choice of validation samples and of a limited training set; the
            training's own seed does not matter to them.
        limit: train on this many samples only, equally many of each class.
        on_device: keep all samples on the training's device, so that no batch travels there.
    """

    shape: tuple[int, ...]
    """A network's input at one timestep, without the batch: `(C, H, W)` or `(features,)`."""

    classes: int
    """How many classes there are, if the targets are classes."""

    dtypes: ClassVar[tuple[torch.dtype, ...]] = (torch.uint8,)
    """The types that samples may be kept in."""

    workers: int = 0
    """Number of processes that make batches; samples in memory need none."""

    source: ClassVar[Source | None] = None
    """Where the files come from; None if there are no files."""

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        download: bool = False,
        batch_size: int = 128,
        validation: int | float = 0.1,
        split_seed: int = 0,
        limit: int | None = None,
        on_device: bool = False,
    ) -> None:
        super().__init__()
        check("batch_size", batch_size, 1)
        if limit is not None:
            check("limit", limit, getattr(self, "classes", 1))
        if not (0 <= validation < 1 or (isinstance(validation, int) and validation > 0)):
            raise ValueError(
                f"validation: expected a share from 0 to below 1 or a whole number of samples, "
                f"got {validation}"
            )
        if download and not (self.source and self.source.archives):
            raise ValueError(
                f"download: {type(self).__name__} has nothing to download, expected false"
            )
        folder_of(root)
        self.root, self.download, self.batch_size = root, download, batch_size
        self.validation: int | float | str | list[str] = validation
        self.split_seed, self.limit = split_seed, limit
        self.on_device = on_device
        self._training: Samples | None = None
        self._validation: Samples | None = None
        self._test: Samples | None = None

    @property
    def title(self) -> str:
        """What errors call the data."""
        return type(self).__name__

    @property
    def targets(self) -> Targets:
        """What a network is asked for: the class of a sample, unless a subclass says otherwise."""
        return Targets("classes", self.classes)

    @property
    def outputs(self) -> int:
        """The outputs of a network per step."""
        return self.targets.outputs

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample as `read` gives it."""
        return self.shape

    def find(self, name: str) -> Path:
        """The path of one of the data set's files."""
        assert self.source is not None
        return self.source.find(self.root, name)

    def read(self, train: bool) -> Batch:
        """All samples `(N, *sample_shape)` and targets of the published split.

        Labels `(N,)` are whole numbers from 0 to classes - 1, as a tensor, an array or a list;
        `Targets` says what others look like. Samples of different lengths are padded at the end,
        and their numbers of steps `(N,)` follow as a third.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define its read")

    def open(self, train: bool) -> Samples:
        """The published training or test set, checked."""
        return self.checked(*self.read(train), part="training" if train else "test")

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        """A batch on its device as the network gets it.

        Args:
            samples: `(B, *sample_shape)`, as kept; padding beyond the longest of them is cut off.
            labels: `(B,)`, int64, or the batch's targets.
            seed: of the batch's augmentation; None outside training, for no augmentation.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define its prepare")

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        """The training set without its validation samples, and the validation samples."""
        assert isinstance(self.validation, int | float), "a subclass that takes names splits itself"
        strata = self.targets.strata(samples.labels)
        training, held = set_aside("validation", self.validation, strata, self.split_seed)
        return samples.subset(training), samples.subset(held)

    def label_counts(self) -> Tensor:
        """How many labels each class has in the training set, `(classes,)`."""
        labels = _ready(self._training).labels
        return labels[labels != UNLABELLED].bincount(minlength=self.outputs)

    def prepare_data(self) -> None:
        if self.download and self.source is not None:
            self.source.fetch(self.root)

    def setup(self, stage: str | None = None) -> None:
        if stage in (None, "fit", "validate") and self._training is None:
            training, self._validation = self.split(self.open(train=True))
            self._training = self._limited(training)
        if stage in (None, "test") and self._test is None:
            self._test = self.open(train=False)

    def train_dataloader(self) -> DataLoader[Batch]:
        samples = _ready(self._training)
        replicas = self.trainer.distributed_sampler_kwargs if self.trainer else None
        # Several processes leave out the same samples as one with the same global batch.
        sampler: Order[Batch] = Order(
            samples,
            **(replicas or {"num_replicas": 1, "rank": 0}),
            seed=mix(global_seed()),
            drop_last=True,
        )
        return self._loader(samples, sampler)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        samples = _ready(self._validation)
        return self._loader(samples) if len(samples) else []

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(_ready(self._test))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        seed = None
        if self.trainer and self.trainer.training:
            batches = self.trainer.fit_loop.total_batch_idx + 1
            seed = mix(global_seed(), self.trainer.global_rank, batches)
        prepared = self.prepared(batch, seed)
        if self.trainer:
            # Lightning did this earlier, when there were no floating-point numbers to convert.
            samples = self.trainer.precision_plugin.convert_input(prepared[0])
            prepared = (samples, *prepared[1:])
        return prepared

    def prepared(self, batch: Batch, seed: int | None = None) -> Batch:
        """A batch of the loader as a network gets it; `seed` as for `prepare`.

        Targets per step have the time first, as the samples have.
        """
        samples, labels, *lengths = batch
        per_step = self.targets.per_step
        if lengths:
            longest = int(lengths[0].max())
            samples = samples[:, :longest]
            labels = labels[:, :longest] if per_step else labels
        samples, labels = self.prepare(samples, labels, seed)
        if per_step:
            labels = labels.transpose(0, 1)
        return samples, labels, *lengths

    def as_input(self, values: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Samples without targets as a network gets them outside training, on their device.

        Args:
            values: `(B, *sample_shape)`, as `read` or `read_files` gives them.
            lengths: the number of steps of each, `(B,)`; padding beyond the longest is cut off.
        """
        if lengths is not None:
            values = values[:, : int(lengths.max())]
        nothing = torch.zeros(len(values), dtype=torch.int64, device=values.device)
        return self.prepare(values, nothing, None)[0]

    def read_files(self, paths: str | Path | Sequence[str | Path]) -> Files:
        """New samples from files of the user, for predictions; their targets are not needed.

        The rows asked for are read when they are asked for. `as_input` makes a network's input of
        them.

        Raises:
            ValueError: the samples of this data set are not files.
        """
        raise ValueError(
            f"files: {type(self).__name__} does not read files of your own; give the samples as a "
            f"tensor (N, {', '.join(map(str, self.sample_shape))}) to `as_input`"
        )

    def fingerprint(self) -> str | None:
        """What the samples were when they were read (`neurodyn.data.fingerprint`); None if they are
        made and not read."""
        if self.source is None:
            return None
        folder = folder_of(self.root) / self.source.folder
        return of_files(below(folder), folder) if folder.is_dir() else None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to know to be used without the data."""
        return {"shape": list(self.shape), "targets": asdict(self.targets)}

    def checked(
        self, samples: Tensor, labels: Any, lengths: Any | None = None, *, part: str
    ) -> Samples:
        """Samples and targets, checked against what the class says; `part` is for the error."""
        name = f"{self.title} ({part} set)"
        samples = check_samples(samples, self.sample_shape, self.dtypes, name)
        steps: int | None = getattr(self, "steps", None)
        made = check_targets(samples, labels, lengths, self.targets, steps, name)
        if self.on_device and self.trainer:
            samples = samples.to(self.trainer.strategy.root_device)
        return Samples(samples, *made)

    def _limited(self, samples: Samples) -> Samples:
        if self.limit is None:
            return samples
        strata = self.targets.strata(samples.labels)
        check("limit", self.limit, len(strata.unique()), len(samples))
        order = stratified(strata, self.split_seed, balanced=True)
        return samples.subset(order[: self.limit])

    def _loader(self, samples: Samples, sampler: Order[Batch] | None = None) -> DataLoader[Batch]:
        # Lightning advises more workers, which do not help where a batch is one gather.
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        # A last batch of few samples would unsettle batch normalisation.
        drop_last = sampler is not None and len(sampler) > self.batch_size
        loader = ResumableLoader if sampler is not None else DataLoader
        return loader(
            samples,
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=whole,
            drop_last=drop_last,
            num_workers=self.workers,
            pin_memory=self.workers > 0 and torch.cuda.is_available(),
        )


def _ready(samples: Samples | None) -> Samples:
    if samples is None:
        raise RuntimeError("the data are not read yet: call setup() before asking for a loader")
    return samples
