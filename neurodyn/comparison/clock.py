"""How long training takes, epoch by epoch, and how soon it is at an accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import RunningStage


class Clock(Timer):
    """Lightning's `Timer`, which also keeps the seconds of each epoch.

    They go into checkpoints: an epoch that was resumed counts what came before the checkpoint and
    what came after it, and not the work that a kill threw away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_epoch: dict[int, list[float]] = {}

    @property
    def seconds(self) -> list[list[float]]:
        """For each epoch the seconds of training, with the checkpoints, and of validation."""
        return [self.by_epoch[epoch] for epoch in sorted(self.by_epoch)]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        # An accuracy is reached when it is known, and not when the device is told to compute it.
        trainer.callback_metrics["val_accuracy"].item()
        super().on_validation_end(trainer, pl_module)
        validation = self.time_elapsed(RunningStage.VALIDATING)
        training = self.time_elapsed() - sum(map(sum, self.seconds)) - validation
        earlier = self.by_epoch.get(trainer.current_epoch, [0.0, 0.0])
        self.by_epoch[trainer.current_epoch] = [earlier[0] + training, earlier[1] + validation]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "by_epoch": self.by_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.by_epoch = state_dict["by_epoch"]


def epochs_to(curve: Sequence[float], accuracy: float) -> int | None:
    """After how many epochs a validation curve is first at an accuracy; None if it never is.

    Args:
        curve: validation accuracy in percent, by epoch.
        accuracy: in percent.
    """
    return next((i for i, reached in enumerate(curve, start=1) if reached >= accuracy), None)


def seconds_to(run: Mapping[str, Any], accuracy: float) -> float | None:
    """Seconds of training and validation until a run is first at an accuracy; None if it never is.

    Args:
        run: a result, with its `curve` and `epoch_seconds`.
        accuracy: of the validation, in percent.
    """
    if "epoch_seconds" not in run:
        raise ValueError("run: expected epoch_seconds, which results of older versions do not have")
    epochs = epochs_to(run["curve"], accuracy)
    return None if epochs is None else sum(map(sum, run["epoch_seconds"][:epochs]))
