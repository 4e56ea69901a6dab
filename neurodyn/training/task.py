"""A task: what the outputs of a network are for. Read-out, loss and metrics of a kind of target.

The kind follows from the data (`Targets`): classes, labels or values, once or at every step.
Every task has one main metric, of which more is better. It selects the epoch, and tables and
verdicts are about it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

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
from neurodyn.errors import unknown
from neurodyn.layers import READOUTS, Readout, TETLoss, make_readout

LossName = Literal["cross-entropy", "tet", "mse", "mae", "huber"]
ReadoutName = Literal[
    "mean", "last", "max", "leaky", "leaky-max", "softmax-sum", "each", "membrane"
]


class Task(nn.Module):
    """Base of the tasks.

    Args:
        targets: what is asked.
        readout: turns outputs over time into scores.
        loss: a name of `losses`, or a module of your own, called as `loss(scores, targets)` with
            one row for each sample, or step, that has a target.
        label_smoothing: of the cross-entropy.
        class_weights: one per class, for the cross-entropy.
        tet_weight: of TET's regulariser, .05 unless given.
    """

    main: ClassVar[str]
    """The metric that selects the epoch; more is better."""

    heading: ClassVar[str]
    """The main metric in a table, in percent."""

    losses: ClassVar[tuple[str, ...]]
    """The losses by their names, the default first."""

    class_weights: Tensor | None

    def __init__(
        self,
        targets: Targets,
        *,
        readout: Readout,
        loss: str | nn.Module | None = None,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        tet_weight: float | None = None,
    ) -> None:
        super().__init__()
        if readout.per_step != targets.per_step:
            fit = [name for name, cls in READOUTS.items() if cls.per_step == targets.per_step]
            when = "at every step" if targets.per_step else "for the whole sequence"
            raise ValueError(
                f"readout: the data have a target {when}; expected one of {', '.join(fit)}, got "
                f"{type(readout).__name__}"
            )
        name = self.losses[0] if loss is None else loss
        if isinstance(name, str) and name not in self.losses:
            raise unknown(f"loss of {targets.kind}", name, self.losses)
        if name != "tet" and tet_weight is not None:
            raise ValueError(f"tet_weight: only loss='tet' has one, got loss={name!r}")
        if name != "cross-entropy" and name != "tet" and label_smoothing:
            raise ValueError(f"label_smoothing: only a cross-entropy has it, got loss={name!r}")
        if class_weights is not None and len(class_weights) != targets.outputs:
            raise ValueError(
                f"class_weights: expected {targets.outputs} numbers, got {len(class_weights)}"
            )
        if class_weights is not None and not (
            min(class_weights) >= 0 and 0 < sum(class_weights) < math.inf
        ):
            raise ValueError(
                f"class_weights: expected numbers of 0 or more, not all 0, got {class_weights}"
            )
        self.targets, self.readout = targets, readout
        self.name, self.criterion = name, name if isinstance(name, nn.Module) else None
        self.label_smoothing = label_smoothing
        weights = None if class_weights is None else torch.tensor([float(w) for w in class_weights])
        self.register_buffer("class_weights", weights, persistent=False)
        self.tet: TETLoss | None = None
        if name == "tet":
            if targets.per_step:
                raise ValueError(
                    "loss: TET is for one class of a whole sequence, and the data have one at "
                    "every step; expected cross-entropy"
                )
            if list(readout.parameters()):
                raise ValueError(
                    f"readout: the TET loss would leave {type(readout).__name__} untrained"
                )
            self.tet = TETLoss(
                weight=0.05 if tet_weight is None else tet_weight,
                label_smoothing=label_smoothing,
                class_weights=weights,
            )

    def weigh(self, weights: Tensor) -> None:
        """Set the weights of the classes, `(K,)`."""
        for module in filter(None, (self, self.tet)):
            module.register_buffer("class_weights", weights, persistent=False)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of outputs over time `(T, B, K)`."""
        scores, wanted = self.rows(self.readout(outputs), targets)
        if not len(scores):  # The mean over nothing would be NaN.
            return scores.sum()
        loss: Tensor = (self.criterion or self.measure)(scores, wanted)
        return loss

    def measure(self, scores: Tensor, wanted: Tensor) -> Tensor:
        """The loss of rows that have a target, by its name."""
        raise NotImplementedError

    def rows(self, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The scores and targets of every sample, or of every step that has a target."""
        raise NotImplementedError

    def metrics(self) -> dict[str, Metric]:
        """New metrics by their names, the main one among them."""
        raise NotImplementedError

    def confusion(self) -> Metric | None:
        """A new matrix that counts how many rows of each class were taken for each class."""
        return None

    def update(self, metrics: nn.ModuleDict, scores: Tensor, targets: Tensor) -> None:
        """Add the scores of a batch to the metrics."""
        scores, wanted = self.rows(scores.detach(), targets)
        if len(scores):
            for metric in metrics.values():
                metric.update(scores, wanted)  # type: ignore[operator]

    def beside(self) -> dict[str, tuple[str, float]]:
        """Metrics that a table shows beside the main one: their headings, and a factor."""
        return {}

    def answer(self, scores: Tensor) -> Tensor:
        """Predictions from scores `(..., K)`: classes, probabilities of labels, or values."""
        raise NotImplementedError


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
        return _with_target(scores, targets)

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
        return _with_target(scores, targets)

    def metrics(self) -> dict[str, Metric]:
        return {
            "r2": _Columns(R2Score, self.targets.outputs),
            "mae": _Columns(MeanAbsoluteError, self.targets.outputs),
            "rmse": _Columns(MeanSquaredError, self.targets.outputs, squared=False),
        }

    def beside(self) -> dict[str, tuple[str, float]]:
        return {"mae": ("mean absolute error", 1.0), "rmse": ("rms error", 1.0)}

    def update(self, metrics: nn.ModuleDict, scores: Tensor, targets: Tensor) -> None:
        super().update(metrics, self.answer(scores), targets)

    def answer(self, scores: Tensor) -> Tensor:
        return scores * self.std + self.mean


class _Columns(Metric):
    """The mean of a metric over outputs, each over the rows that have a value."""

    full_state_update = False

    def __init__(self, cls: type[Metric], outputs: int, **options: Any) -> None:
        super().__init__()
        self.columns = nn.ModuleList(cls(**options) for _ in range(outputs))

    def update(self, scores: Tensor, wanted: Tensor) -> None:
        known = ~wanted.isnan()
        for i, column in enumerate(self.columns):
            if known[:, i].any():
                rows = known[:, i]
                column.update(scores[rows, i].float(), wanted[rows, i])  # type: ignore[operator]

    def compute(self) -> Tensor:
        return torch.stack([self._column(i) for i in range(len(self.columns))]).mean()

    def _column(self, i: int) -> Tensor:
        try:
            found: Tensor = self.columns[i].compute()  # type: ignore[operator]
        except ValueError as error:
            raise ValueError(
                f"validation, test: value {i} is known for fewer than two of the samples or steps, "
                "too few to say how much variance is explained; set more aside"
            ) from error
        return found

    def reset(self) -> None:
        super().reset()
        for column in self.columns:
            column.reset()  # type: ignore[operator]


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


def _with_target(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that have at least one target that is not NaN."""
    scores, targets = scores.flatten(0, -2), targets.flatten(0, -2)
    known = ~targets.isnan().all(-1)
    return scores[known], targets[known]
