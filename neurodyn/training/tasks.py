"""The tasks: classification, labelling and regression, of a sample or of every step."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, R2Score
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MultilabelAccuracy,
    MultilabelF1Score,
)

from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.layers import Readout, make_readout
from neurodyn.training.metrics import Columns
from neurodyn.training.task import ReadoutName, Task, with_target


class Classification(Task):
    """One class, of a sample or of every step. The main metric is the accuracy."""

    main, heading, losses = "accuracy", "accuracy", ("cross-entropy", "tet")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.tet is None:
            return super().loss(outputs, targets)
        loss: Tensor = self.tet(outputs, targets)
        return loss

    def measure(self, scores: Tensor, wanted: Tensor) -> Tensor:
        if wanted.is_floating_point():
            wanted = wanted.to(scores.dtype)
        return F.cross_entropy(
            scores, wanted, self.class_weights, label_smoothing=self.label_smoothing
        )

    def rows(self, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if not self.targets.per_step:
            return scores, targets
        known = targets != UNLABELLED
        return scores[known], targets[known]

    def metrics(self) -> dict[str, Metric]:
        classes = self.targets.outputs
        metrics: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(classes, average="micro"),
            "f1": MulticlassF1Score(classes, average="macro"),
        }
        if self.targets.default is not None:
            metrics["accuracy_all"] = MulticlassAccuracy(classes, average="micro")
        return metrics

    def beside(self) -> dict[str, tuple[str, float]]:
        if not self.targets.per_step:
            return {}
        shown = {"f1": ("macro F1 [%]", 100.0)}
        if self.targets.default is not None:
            name = self.targets.name(self.targets.default)
            shown["accuracy_all"] = (f"unlabelled counted as {name} [%]", 100.0)
        return shown

    def confusion(self) -> Metric:
        return MulticlassConfusionMatrix(self.targets.outputs)

    def update(self, metrics: nn.ModuleDict, scores: Tensor, targets: Tensor) -> None:
        usual = {name: metric for name, metric in metrics.items() if name != "accuracy_all"}
        super().update(nn.ModuleDict(usual), scores, targets)
        if "accuracy_all" in metrics:
            filled = torch.where(targets == UNLABELLED, self.targets.default or 0, targets)
            metrics["accuracy_all"].update(  # type: ignore[operator]
                scores.detach().flatten(0, -2), filled.flatten()
            )

    def answer(self, scores: Tensor) -> Tensor:
        return scores.argmax(-1)


class Labelling(Task):
    """Any number of labels, of a sample or of every step. The main metric is the macro F1."""

    main, heading, losses = "f1", "macro F1", ("cross-entropy",)

    def measure(self, scores: Tensor, wanted: Tensor) -> Tensor:
        soft = (1 - self.label_smoothing) * wanted + self.label_smoothing / 2
        known = ~wanted.isnan()
        each = F.binary_cross_entropy_with_logits(
            scores, torch.where(known, soft, 0.0), self.class_weights, reduction="none"
        )
        return (each * known).sum() / known.sum().clamp(min=1)

    def rows(self, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return with_target(scores, targets)

    def metrics(self) -> dict[str, Metric]:
        n = self.targets.outputs
        if n == 1:
            return {
                "f1": BinaryF1Score(ignore_index=-1),
                "accuracy": BinaryAccuracy(ignore_index=-1),
            }
        return {
            "f1": MultilabelF1Score(n, average="macro", ignore_index=-1),
            "accuracy": MultilabelAccuracy(n, average="macro", ignore_index=-1),
        }

    def beside(self) -> dict[str, tuple[str, float]]:
        return {"accuracy": ("accuracy of a label [%]", 100.0)}

    def update(self, metrics: nn.ModuleDict, scores: Tensor, targets: Tensor) -> None:
        scores, wanted = self.rows(scores.detach(), targets)
        whole = torch.where(wanted.isnan(), -1.0, wanted).long()
        for metric in metrics.values():
            metric.update(scores.sigmoid(), whole)  # type: ignore[operator]

    def answer(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()


class Regression(Task):
    """Values, of a sample or of every step. The main metric is the share of their variance that
    predictions explain, `R^2`, averaged over outputs. Errors are in the values' own units."""

    main, heading, losses = "r2", "variance explained", ("mse", "mae", "huber")

    def __init__(self, targets: Targets, **options: Any) -> None:
        super().__init__(targets, **options)
        ones, zeros = (1.0,) * targets.outputs, (0.0,) * targets.outputs
        self.mean = nn.Buffer(torch.tensor(targets.mean or zeros), persistent=False)
        self.std = nn.Buffer(torch.tensor(targets.std or ones), persistent=False)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().loss(outputs, (targets - self.mean) / self.std)

    def measure(self, scores: Tensor, wanted: Tensor) -> Tensor:
        measures = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.smooth_l1_loss}
        known = ~wanted.isnan()
        return measures[str(self.name)](scores[known], wanted[known].to(scores.dtype))

    def rows(self, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return with_target(scores, targets)

    def metrics(self) -> dict[str, Metric]:
        return {
            "r2": Columns(R2Score, self.targets.outputs),
            "mae": Columns(MeanAbsoluteError, self.targets.outputs),
            "rmse": Columns(MeanSquaredError, self.targets.outputs, squared=False),
        }

    def beside(self) -> dict[str, tuple[str, float]]:
        return {"mae": ("mean absolute error", 1.0), "rmse": ("rms error", 1.0)}

    def update(self, metrics: nn.ModuleDict, scores: Tensor, targets: Tensor) -> None:
        super().update(metrics, self.answer(scores), targets)

    def answer(self, scores: Tensor) -> Tensor:
        return scores * self.std + self.mean


TASKS: dict[str, type[Task]] = {
    "classes": Classification,
    "labels": Labelling,
    "values": Regression,
}


def make_task(
    targets: Targets, *, readout: ReadoutName | Readout | None = None, **options: Any
) -> Task:
    """The task of targets.

    Args:
        targets: what is asked.
        readout: a name of `READOUTS` or a read-out; by default the mean over time, or the outputs
            at each step if that is asked.
        options: as for `Task`.
    """
    readout = readout or ("each" if targets.per_step else "mean")
    made = make_readout(readout, targets.outputs) if isinstance(readout, str) else readout
    return TASKS[targets.kind](targets, readout=made, **options)
