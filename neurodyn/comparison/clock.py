"""How long training takes, epoch by epoch, and how soon it reaches a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import RunningStage


class Clock(Timer):
    """Lightning's `Timer`, which also keeps the seconds and the validation score of each epoch.

    Both are stored in checkpoints. The seconds of a resumed epoch are those before the checkpoint
    and those after it, without the work that a kill threw away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_epoch: dict[int, list[float]] = {}
        self.scores: dict[int, float] = {}

    @property
    def seconds(self) -> list[list[float]]:
        """For each epoch the seconds of training, checkpoints included, and of validation."""
        return [self.by_epoch[epoch] for epoch in sorted(self.by_epoch)]

    @property
    def curve(self) -> list[float]:
        """The task's main metric on validation data after each epoch, in percent."""
        return [self.scores[epoch] for epoch in sorted(self.scores)]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        epoch = trainer.current_epoch
        # `item` waits for the device: the score counts as reached when it is known.
        self.scores[epoch] = 100 * trainer.callback_metrics["val_score"].item()
        super().on_validation_end(trainer, pl_module)
        validation = self.time_elapsed(RunningStage.VALIDATING)
        training = self.time_elapsed() - sum(map(sum, self.seconds)) - validation
        earlier = self.by_epoch.get(epoch, [0.0, 0.0])
        self.by_epoch[epoch] = [earlier[0] + training, earlier[1] + validation]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "by_epoch": self.by_epoch, "scores": self.scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.by_epoch, self.scores = state_dict["by_epoch"], state_dict["scores"]


def epochs_to(curve: Sequence[float], score: float) -> int | None:
    """Epochs until a validation curve first reaches a score; None if it never does.

    Args:
        curve: validation scores in percent, by epoch.
        score: in percent.
    """
    return next((i for i, reached in enumerate(curve, start=1) if reached >= score), None)


def seconds_to(run: Mapping[str, Any], score: float) -> float | None:
    """Seconds of training and validation until a run reaches a score; None if it never does.

    Args:
        run: a result, with its `curve` and `epoch_seconds`.
        score: validation score in percent.
    """
    if "epoch_seconds" not in run:
        raise ValueError("run: expected epoch_seconds, which results of older versions do not have")
    epochs = epochs_to(run["curve"], score)
    return None if epochs is None else sum(map(sum, run["epoch_seconds"][:epochs]))
