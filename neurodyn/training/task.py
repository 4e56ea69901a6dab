"""A task: what the outputs of a network are for. Read-out, loss and metrics of a kind of target.

The kind follows from the data (`Targets`): classes, labels or values, once or at every step.
Every task has one main metric, of which more is better. It selects the epoch, and tables and
verdicts are about it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from neurodyn.data.targets import Targets
from neurodyn.errors import unknown
from neurodyn.layers import READOUTS, Readout, TETLoss

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


def with_target(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that have at least one target that is not NaN."""
    scores, targets = scores.flatten(0, -2), targets.flatten(0, -2)
    known = ~targets.isnan().all(-1)
    return scores[known], targets[known]
