"""What a data set asks of a network: a class, several labels or values, once or at every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

UNLABELLED = -100
"""The class of a step without a label; PyTorch's cross-entropy leaves it out."""

Kind = Literal["classes", "labels", "values"]
KINDS: tuple[Kind, ...] = ("classes", "labels", "values")


@dataclass(frozen=True)
class Targets:
    """The targets of a data set. The task of a training follows from them.

    | kind | targets | dtype | unlabelled |
    |---|---|---|---|
    | `classes` | one class of `outputs` | int64, `(N,)` | `UNLABELLED`, per step only |
    | `labels` | any number of `outputs` labels | float 0 or 1, `(N, outputs)` | NaN |
    | `values` | `outputs` numbers | float, `(N, outputs)` | NaN |

    Targets `per_step` have the time behind the samples: `(N, T)` or `(N, T, outputs)`.

    Args:
        kind: what is asked.
        outputs: outputs of the network per step: classes, labels or values.
        per_step: whether every timestep has a target.
        names: of the outputs, for tables and pictures.
        mean, std: of the values in the training set, one per output. A network learns
            `(value - mean) / std`, and predictions are given in the values' own units.
        default: the class that an unlabelled step has in others' counts. The accuracy by that count
            is then measured too.
    """

    kind: Kind
    outputs: int
    per_step: bool = False
    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    default: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.outputs < 1 or (self.kind == "classes" and self.outputs < 2):
            least = 2 if self.kind == "classes" else 1
            raise ValueError(f"outputs: expected at least {least}, got {self.outputs}")
        for name in ("names", "mean", "std"):
            given = tuple(getattr(self, name))
            object.__setattr__(self, name, given)
            if given and len(given) != self.outputs:
                raise ValueError(f"{name}: expected one for each of {self.outputs}, got {given}")
        if any(not s > 0 for s in self.std):
            raise ValueError(f"std: expected numbers above 0, got {self.std}")

    def name(self, output: int) -> str:
        """The name of an output; its number if it has none."""
        return self.names[output] if self.names else str(output)

    @property
    def words(self) -> str:
        """What is asked: `10 classes`, `1 value`."""
        one = {"classes": "class", "labels": "label", "values": "value"}
        return f"{self.outputs} {one[self.kind] if self.outputs == 1 else self.kind}"

    @property
    def nothing(self) -> float:
        """What stands where there is no target."""
        return UNLABELLED if self.kind == "classes" else float("nan")

    def shape(self, steps: int | None) -> tuple[int, ...]:
        """The shape of one sample's target."""
        if self.per_step and steps is None:
            raise ValueError("targets: expected samples with time, as there is a target per step")
        time = (steps,) if self.per_step and steps is not None else ()
        return time if self.kind == "classes" else (*time, self.outputs)

    def checked(self, found: Any, name: str, steps: int | None = None) -> Tensor:
        """Targets of samples, checked, in the dtype and shape of the table above.

        Args:
            found: a tensor, an array or a sequence. Values and labels with one output may leave out
                the last dimension.
            name: of the samples, for the error.
            steps: timesteps of a sample, if it has time.

        Raises:
            ValueError: the targets have another shape, or one of them cannot be.
        """
        if self.kind == "classes":
            return class_labels(found, self.outputs, name, steps if self.per_step else None)
        values = _tensor(found, name, f"expected {self.kind}").float()
        shape = self.shape(steps)
        if self.outputs == 1 and values.shape[1:] == shape[:-1]:
            values = values.unsqueeze(-1)
        if values.shape[1:] != shape or not len(values):
            sizes = ", ".join(map(str, ("N", *shape)))
            raise ValueError(
                f"{name}: found {self.kind} of shape {tuple(values.shape)}, expected ({sizes})"
            )
        known = values[~values.isnan()]
        if known.isinf().any():
            raise ValueError(
                f"{name}: found infinite {self.kind}, expected numbers, or NaN for none"
            )
        if self.kind == "labels" and not ((known == 0) | (known == 1)).all():
            other = known[(known != 0) & (known != 1)][0].item()
            raise ValueError(f"{name}: found the label {other:g}, expected 0 or 1, or NaN for none")
        if not len(known):
            raise ValueError(f"{name}: found no {self.kind} but NaN")
        return values

    def strata(self, targets: Tensor) -> Tensor:
        """A class for each sample, by which a random choice of samples is balanced.

        Samples without a single class are all alike.
        """
        if self.kind == "classes" and not self.per_step:
            return targets
        return torch.zeros(len(targets), dtype=torch.int64)

    def scaled(self, targets: Tensor) -> Targets:
        """These targets with the mean and the spread of a training set's values."""
        if self.kind != "values":
            return self
        rows = targets.reshape(-1, self.outputs).double()
        mean = rows.nanmean(0)
        std = (rows - mean).square().nanmean(0).sqrt()
        std = torch.where(std > 0, std, 1.0)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def class_labels(labels: Any, classes: int, name: str, steps: int | None = None) -> Tensor:
    """Labels as `(N,)` or, with steps, `(N, T)`, int64.

    Args:
        labels: whole numbers of any type, in a tensor, an array or a sequence. With steps, -1 and
            `UNLABELLED` say that a step has no label.
        classes: how many classes there are.
        name: of the samples, for the error.
        steps: timesteps of a sample, if each has a label.

    Raises:
        ValueError: the labels have another shape, or one is not a class.
    """
    per = "sample, (N,)" if steps is None else f"step, (N, {steps})"
    wanted = f"expected one whole number from 0 to {classes - 1} per {per}"
    found = _tensor(labels, name, wanted)
    if found.shape[1:] != (() if steps is None else (steps,)) or found.ndim == 0:
        advice = "labels[:, 0]" if found.shape[-1:] == (1,) else "labels.argmax(1) of one-hot ones"
        hint = f"; take {advice}" if found.ndim == 2 and steps is None else ""
        raise ValueError(f"{name}: found labels of shape {tuple(found.shape)}, {wanted}{hint}")
    if found.is_complex():
        raise ValueError(f"{name}: found labels of {found.dtype}, {wanted}")
    if found.is_floating_point() and not (whole := found == found.trunc()).all():
        raise ValueError(f"{name}: found the label {found[~whole][0].item():g}, {wanted}")
    if not len(found):
        raise ValueError(f"{name}: found labels none, expected 0 to {classes - 1}")
    # PyTorch has no minimum of some unsigned types; as int64, their largest numbers are negative.
    found = found if found.is_floating_point() else found.long()
    if steps is not None:
        found = torch.where(found == -1, UNLABELLED, found)
    known = found if steps is None else found[found != UNLABELLED]
    if not len(known):
        raise ValueError(f"{name}: found no labelled step, {wanted}")
    low, high = known.aminmax()
    if low < 0 or high >= classes:
        span = f"from {low.item():g} to {high.item():g}"
        raise ValueError(f"{name}: found labels {span}, expected 0 to {classes - 1}")
    return found.long()


def _tensor(found: Any, name: str, wanted: str) -> Tensor:
    try:
        return found if isinstance(found, Tensor) else torch.as_tensor(np.asarray(found))
    except (TypeError, ValueError) as error:
        kind = type(found).__name__
        raise ValueError(f"{name}: found labels in a {kind} ({error}), {wanted}") from error
