"""The checkpoint that training goes on from when it was killed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint


class Latest(Checkpoint):
    """Keeps `last.ckpt`, from which training goes on to the weights of a run without a break.

    It is written after every epoch, and after a step when the last writing is `minutes` ago. The
    file is complete at any moment: a kill costs the work since it was written and nothing else.

    Args:
        folder: where; `checkpoints` in the logger's folder, if not given.
        minutes: between checkpoints within an epoch; 0 for one after every step.
    """

    def __init__(self, folder: str | None = None, minutes: float = 5.0) -> None:
        if minutes < 0:
            raise ValueError(f"minutes: expected 0 or more, got {minutes}")
        self.folder, self.minutes = folder, minutes
        self._written = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        due = time.monotonic() - self._written >= 60 * self.minutes
        # Gradients that are being accumulated are in no checkpoint.
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        # After the last step comes the end of the epoch, validation included.
        if stepped and not trainer.is_last_batch and trainer.strategy.broadcast(due):
            self._write(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        folder = Path(self.folder or Path(trainer.log_dir or ".") / "checkpoints")
        # Lightning's own writing may copy into place from another file system.
        part = folder / "last.ckpt.part"
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            os.replace(part, folder / "last.ckpt")
        self._written = time.monotonic()
