"""How long training takes, epoch by epoch, and how soon it reaches an accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import RunningStage


class Clock(Timer):
    """Lightning's `Timer`, which also keeps the seconds and the validation accuracy of each epoch.

    Both are stored in checkpoints. The seconds of a resumed epoch are those before the checkpoint
    and those after it, without the work that a kill threw away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_epoch: dict[int, list[float]] = {}
        self.accuracy: dict[int, float] = {}

    @property
    def seconds(self) -> list[list[float]]:
        """For each epoch the seconds of training, checkpoints included, and of validation."""
        return [self.by_epoch[epoch] for epoch in sorted(self.by_epoch)]

    @property
    def curve(self) -> list[float]:
        """The validation accuracy after each epoch, in percent."""
        return [self.accuracy[epoch] for epoch in sorted(self.accuracy)]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        epoch = trainer.current_epoch
        # `item` waits for the device: the accuracy counts as reached when it is known.
        self.accuracy[epoch] = 100 * trainer.callback_metrics["val_accuracy"].item()
        super().on_validation_end(trainer, pl_module)
        validation = self.time_elapsed(RunningStage.VALIDATING)
        training = self.time_elapsed() - sum(map(sum, self.seconds)) - validation
        earlier = self.by_epoch.get(epoch, [0.0, 0.0])
        self.by_epoch[epoch] = [earlier[0] + training, earlier[1] + validation]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "by_epoch": self.by_epoch, "accuracy": self.accuracy}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.by_epoch, self.accuracy = state_dict["by_epoch"], state_dict["accuracy"]


def epochs_to(curve: Sequence[float], accuracy: float) -> int | None:
    """Epochs until a validation curve first reaches an accuracy; None if it never does.

    Args:
        curve: validation accuracy in percent, by epoch.
        accuracy: in percent.
    """
    return next((i for i, reached in enumerate(curve, start=1) if reached >= accuracy), None)


def seconds_to(run: Mapping[str, Any], accuracy: float) -> float | None:
    """Seconds of training and validation until a run reaches an accuracy; None if it never does.

    Args:
        run: a result, with its `curve` and `epoch_seconds`.
        accuracy: validation accuracy in percent.
    """
    if "epoch_seconds" not in run:
        raise ValueError("run: expected epoch_seconds, which results of older versions do not have")
    epochs = epochs_to(run["curve"], accuracy)
    return None if epochs is None else sum(map(sum, run["epoch_seconds"][:epochs]))
