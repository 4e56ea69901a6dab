"""What the targets of arrays are, guessed from their type and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.errors import unknown

Array = np.ndarray[Any, Any]

TaskName = Literal["auto", "classes", "labels", "values"]

SAY = "say which with task: classes, labels or values"

FEW = 4
"""Whole numbers that have fewer samples each than this could be values as well as classes."""


@dataclass(frozen=True)
class Coding:
    """How targets as they come are turned into those of `targets`.

    Args:
        targets: what they are.
        known: the classes as they come, in their order; None if they come as 0, 1, 2, ...
        one_hot: whether a class comes as a row of zeros with a single one.
    """

    targets: Targets
    known: tuple[Any, ...] | None = None
    one_hot: bool = False

    def __call__(self, y: Array, name: str) -> Array:
        """Targets, coded; `name` is for the error."""
        if self.targets.kind != "classes":
            return y.astype(np.float32)
        if self.one_hot:
            _check_one_hot(y, self.targets.per_step, name)
            y = np.nan_to_num(y) if y.dtype.kind == "f" else y
            return np.where(y.any(-1), y.argmax(-1), UNLABELLED)
        if y.ndim > 1 + self.targets.per_step and y.shape[-1] == 1:
            y = y[..., 0]
        labelled = _labelled(y, self.targets.per_step)
        if self.known is None:
            return np.where(labelled, np.nan_to_num(y) if y.dtype.kind == "f" else y, UNLABELLED)
        known = np.asarray(self.known)
        order = known.argsort()
        place = order[np.searchsorted(known[order], y).clip(max=len(known) - 1)]
        if (strange := labelled & (known[place] != y)).any():
            listed = ", ".join(map(str, self.known[:20]))
            raise ValueError(
                f"{name}: found the class {y[strange][0]}, expected one of the training set's: "
                f"{listed}"
            )
        return np.where(labelled, place, UNLABELLED)


def coding_of(
    y: Array, steps: int | None, task: TaskName, names: Sequence[str] | None, name: str
) -> Coding:
    """Guess what targets are.

    | targets | guess |
    |---|---|
    | text or whole numbers `(N,)`, with steps `(N, T)` | classes |
    | zeros and ones `(N, K)`, with steps `(N, T, K)`, of any type; one 1 in each row | classes |
    | the same with other rows | labels |
    | other numbers `(N,)`, `(N, K)`, with steps `(N, T)`, `(N, T, K)` | values |

    In targets per step, -1, `UNLABELLED`, NaN and rows of zeros are steps without a class.

    Args:
        y: targets of the training set.
        steps: timesteps of a sample, if samples have time.
        task: overrules the guess.
        names: of the outputs; for classes that are text, their order.
        name: for the error.

    Raises:
        ValueError: the targets fit nothing above, or fit two things.
    """
    if task not in ("auto", "classes", "labels", "values"):
        raise unknown("task", task, ("auto", "classes", "labels", "values"))
    if y.dtype.kind not in "biufUS":
        raise ValueError(f"{name}: found targets of {y.dtype}, expected numbers or text")
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    per_step = steps is not None and (y.ndim == 3 or (y.ndim == 2 and steps > 1))
    per_step = per_step and y.shape[1] == steps
    below = y.shape[1 + per_step :]
    if len(below) > 1:
        expected = (
            "(N,), (N, K)" if steps is None else f"(N,), (N, K), (N, {steps}), (N, {steps}, K)"
        )
        raise ValueError(f"{name}: found targets of shape {y.shape}, expected {expected}")
    width = below[0] if below else 1
    kind = _kind(y, width, per_step, steps, name) if task == "auto" else task
    if kind != "classes":
        if y.dtype.kind == "U":
            raise ValueError(f"task: the targets are text, expected classes, got {kind}")
        return Coding(Targets(kind, width, per_step, _names(names, width)))
    if width > 1:
        _check_one_hot(y, per_step, name)
        return Coding(Targets("classes", width, per_step, _names(names, width)), one_hot=True)
    return _classes(y, per_step, names, name, guessed=task == "auto")


def without_padding(y: Array, lengths: Array, steps: int, task: TaskName = "auto") -> Array:
    """Targets whose padded steps have none, whatever stood there."""
    if y.ndim < 2 or y.shape[1] != steps:
        return y
    if task in ("labels", "values") and y.dtype.kind in "biu":
        y = y.astype(np.float64)  # Whole numbers have no NaN, which says that there is none.
    padding = np.arange(steps) >= lengths[:, None]
    kind = y.dtype.kind
    nothing: Any = {"f": np.nan, "U": "", "S": b""}.get(kind, 0 if y.ndim == 3 else UNLABELLED)
    y = y.astype(np.int64) if nothing == UNLABELLED else y.copy()
    y[padding] = nothing
    return y


def _kind(
    y: Array, width: int, per_step: bool, steps: int | None, name: str
) -> Literal["classes", "labels", "values"]:
    if y.dtype.kind == "U":
        return "classes"
    if width == 1:
        return "values" if y.dtype.kind == "f" else "classes"
    if y.dtype.kind == "f":
        missing = np.isnan(y)
        if not _binary(y[~missing]) or not (y == 1).any():
            return "values"
        y = np.where(missing.all(-1, keepdims=True), 0, y)
    elif not _binary(y):
        times = "" if steps is None else f"; targets at every step would be (N, {steps})"
        raise ValueError(
            f"{name}: found whole numbers of shape {y.shape}, which could be values; {SAY}{times}"
        )
    ones = y.sum(-1)
    return "classes" if (ones <= 1 if per_step else ones == 1).all() else "labels"


def _classes(
    y: Array, per_step: bool, names: Sequence[str] | None, name: str, *, guessed: bool
) -> Coding:
    text = y.dtype.kind == "U"
    found = y[_labelled(y, per_step)]
    if not text and (found != np.trunc(found)).any():
        other = found[found != np.trunc(found)][0]
        raise ValueError(f"{name}: found {other:g}, expected whole numbers or text for classes")
    seen = np.unique(found)
    if guessed and not text and not per_step and len(seen) * FEW > len(y) > FEW:
        raise ValueError(
            f"{name}: found {len(seen)} different whole numbers in {len(y)} samples, which could "
            f"be values or classes; {SAY}"
        )
    if text and names:
        if missing := set(seen.tolist()) - set(names):
            raise ValueError(f"names: expected all classes, {min(missing)!r} is missing")
        return Coding(_at_least_two(len(names), per_step, names, name), tuple(names))
    count = len(names) if names else len(seen)
    if not text and (names or np.array_equal(seen, np.arange(count))):
        return Coding(_at_least_two(count, per_step, names or (), name))
    known = tuple(seen.tolist() if text else seen.astype(np.int64).tolist())
    return Coding(_at_least_two(count, per_step, [str(value) for value in known], name), known)


def _at_least_two(count: int, per_step: bool, names: Sequence[str], name: str) -> Targets:
    if not count:
        raise ValueError(f"{name}: found no step with a label, expected at least two classes")
    if count < 2:
        raise ValueError(f"{name}: found {count} class, expected at least two")
    return Targets("classes", count, per_step, tuple(names))


def _names(names: Sequence[str] | None, width: int) -> tuple[str, ...]:
    if names and len(names) != width:
        raise ValueError(f"names: expected {width}, one per output, got {len(names)}")
    return tuple(names or ())


def _labelled(y: Array, per_step: bool) -> Array:
    if y.dtype.kind in "US":
        return np.asarray(y != "") if per_step else np.ones(y.shape, bool)
    if not per_step:
        return np.ones(y.shape, bool)
    return ~(np.isin(y, (-1, UNLABELLED)) | (np.isnan(y) if y.dtype.kind == "f" else False))


def _binary(y: Array) -> bool:
    return bool(((y == 0) | (y == 1)).all())


def _check_one_hot(y: Array, per_step: bool, name: str) -> None:
    y = np.nan_to_num(y) if per_step and y.dtype.kind == "f" else y
    ones = y.sum(-1)
    wanted = "at most a single one" if per_step else "a single one"
    if not _binary(y) or not (ones <= 1 if per_step else ones == 1).all():
        raise ValueError(
            f"{name}: found rows {y.shape[-1:]} that are not one class each; expected zeros and "
            f"{wanted}"
        )
