"""Checkpoints: the one that training resumes from, and how all of them are written."""

from __future__ import annotations

import pickle
import time
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import lightning as L
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from neurodyn.files import remove_leftovers, written_aside

DAMAGED = (BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError)
"""What Python's reader of zip archives raises for damaged ones."""


def is_whole(path: Path) -> bool:
    """Whether a checkpoint was written to its end and has not changed since.

    It is a zip archive, whose table of contents comes last and has a checksum for each part.
    """
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
            return archive.testzip() is None and any(n.endswith("/data.pkl") for n in names)
    except DAMAGED:
        return False


def refuse_broken(path: Path) -> None:
    """Raise an error if a checkpoint is not whole. It names a whole one in the same folder."""
    if path.is_file() and not is_whole(path):
        others = sorted(o for o in path.parent.glob("[!.]*.ckpt") if o != path and is_whole(o))
        rest = f"; {' and '.join(map(str, others))} beside it is whole" if others else ""
        raise ValueError(f"ckpt_path: expected a whole checkpoint, got a part in {path}{rest}")


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all, and names one that cannot be read.

    Lightning also writes to a temporary file first. But if that lies on another file system, it is
    copied into place, and a kill leaves a part of it.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        if "://" in str(path):  # a store that has no renaming
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with written_aside(Path(path)) as aside:
            super().save_checkpoint(checkpoint, aside, storage_options)

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        try:
            loaded: dict[str, Any] = super().load_checkpoint(path, *args, **options)
        except (pickle.UnpicklingError, OSError):
            raise
        except Exception as error:  # PyTorch's reader ends in many ways.
            raise ValueError(f"ckpt_path: {path} is no checkpoint, or damaged: {error}") from error
        return loaded


class BestCheckpoint(ModelCheckpoint):
    """Lightning's `ModelCheckpoint`, which remembers its best score if training resumes elsewhere.

    Lightning's forgets it: the first epoch in another folder would count as the best.
    """

    @property
    def state_key(self) -> str:
        # The name that it has in checkpoints of earlier versions.
        return super().state_key.replace(type(self).__qualname__, "ModelCheckpoint", 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def found(path: str) -> str:
            moved = Path(self.dirpath or ".") / Path(path).name
            return str(moved) if path and moved.is_file() else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        known = {name: found(state_dict[name]) for name in paths if name in state_dict}
        scores = {found(path): score for path, score in state_dict["best_k_models"].items()}
        here = {"dirpath": self.dirpath, "best_k_models": scores}
        super().load_state_dict({**state_dict, **known, **here})


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`. Training resumed from it ends with the weights of an unbroken run.

    It is written after every epoch, and after a step if `minutes` have passed since the last time.
    A kill costs only the work since then. Two trainings at once in one folder would overwrite each
    other's, so the second is refused.

    Args:
        folder: where it is kept; by default `checkpoints` in the logger's folder.
        minutes: time between checkpoints within an epoch; 0 for one after every step.
    """

    def __init__(self, folder: str | None = None, minutes: float = 5.0) -> None:
        if minutes < 0:
            raise ValueError(f"minutes: expected 0 or more, got {minutes}")
        self.folder, self.minutes = folder, minutes
        self._written = time.monotonic()
        self._lock: FileLock | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        path = self._path(trainer)  # All processes of a training ask for it together.
        if stage != "fit" or not trainer.is_global_zero or "://" in str(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise ValueError(
                f"last_checkpoint.folder: another process trains in {path.parent}; wait for it, or "
                "give another folder"
            ) from None
        self._lock = lock
        for name in ("last.ckpt", "best.ckpt"):
            remove_leftovers(path.with_name(name))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self.teardown(trainer, pl_module, "fit")

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        due = time.monotonic() - self._written >= 60 * self.minutes
        # A checkpoint does not hold gradients that are being accumulated.
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        # After the last step of an epoch, `on_train_epoch_end` writes it.
        if stepped and not trainer.is_last_batch and trainer.strategy.broadcast(due):
            self._write(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self._path(trainer))
        self._written = time.monotonic()

    def _path(self, trainer: L.Trainer) -> Path:
        return Path(self.folder or Path(trainer.log_dir or ".") / "checkpoints") / "last.ckpt"
