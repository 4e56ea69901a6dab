"""Predictions: what a trained model answers, as tensors, by name, and as rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.data.targets import UNLABELLED, Targets


@dataclass(frozen=True, repr=False)
class Predictions:
    """The answers for N samples, in their order.

    Attributes:
        targets: what was asked.
        scores: of the read-out, `(N, K)`, or `(N, T, K)` if every step has an answer.
        answers: the classes, `(N,)` or `(N, T)`, int64; for labels 0 or 1, and for values the
            values in their own units, `(N, K)` or `(N, T, K)`.
        probabilities: of the classes or labels, shaped as the scores; None for values. They are
            the softmax, or for labels the sigmoid, of the scores.
        lengths: the number of steps of each sample, `(N,)`, if they differ. Behind them, answers
            per step are -100 for classes and NaN otherwise.
    """

    targets: Targets
    scores: Tensor
    answers: Tensor
    probabilities: Tensor | None
    lengths: Tensor | None = None

    @classmethod
    def of(
        cls, targets: Targets, scores: Tensor, values: Tensor, lengths: Tensor | None = None
    ) -> Predictions:
        """Predictions from scores `(N, K)` or `(N, T, K)`.

        Args:
            targets: what was asked.
            scores: of the read-out.
            values: the task's answers to the scores; used if values were asked.
            lengths: the number of steps of each sample, if they differ.
        """
        probabilities: Tensor | None = None
        if targets.kind == "classes":
            probabilities = scores.softmax(-1)
            answers = scores.argmax(-1)
        elif targets.kind == "labels":
            probabilities = scores.sigmoid()
            answers = (probabilities >= 0.5).to(scores.dtype)
        else:
            answers = values
        if targets.per_step and lengths is not None:
            padding = torch.arange(scores.shape[1]) >= lengths[:, None]
            answers = answers.clone()
            answers[padding] = targets.nothing
        return cls(targets, scores, answers, probabilities, lengths)

    def __len__(self) -> int:
        return len(self.answers)

    def __repr__(self) -> str:
        some = ", ".join(self._brief(row) for row in range(min(len(self), 5)))
        rest = ", ..." if len(self) > 5 else ""
        return f"Predictions({len(self)}: {some}{rest})"

    @property
    def names(self) -> list[Any]:
        """The answers by name: of each sample the class, or the list of its labels.

        Per step, each sample has a list of them. Values have no names and are given as numbers.
        """
        steps = range(self.answers.shape[1]) if self.targets.per_step else None
        if steps is None:
            return [self._named(answer) for answer in self.answers]
        return [[self._named(answer) for answer in self._valid(row)] for row in range(len(self))]

    def header(self) -> list[str]:
        """The names of the columns of `rows`."""
        outputs = [self.targets.name(k) for k in range(self.targets.outputs)]
        step = ["step"] if self.targets.per_step else []
        if self.targets.kind == "classes":
            return ["file", *step, "prediction", "probability", *outputs]
        if self.targets.kind == "labels":
            return ["file", *step, "prediction", *outputs]
        unnamed = ["value"] if len(outputs) == 1 else [f"value_{k}" for k in outputs]
        return ["file", *step, *(outputs if self.targets.names else unnamed)]

    def rows(self, files: Sequence[str]) -> Iterator[list[str]]:
        """A row per sample, or per step of each sample; `files` are their names."""
        for row, file in enumerate(files):
            if not self.targets.per_step:
                yield [file, *self._cells((row,))]
                continue
            for t in range(len(self._valid(row))):
                yield [file, str(t), *self._cells((row, t))]

    def summary(self, files: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """A heading and a row per sample. Steps are summed up: the share of the steps with a class
        or a label, or the mean of a value."""
        if not self.targets.per_step:
            width = {"classes": 3, "labels": 2}.get(self.targets.kind)
            return self.header()[:width], [row[:width] for row in self.rows(files)]
        columns = self.header()[-self.targets.outputs :]
        rows = []
        for row, file in enumerate(files):
            answers = self._valid(row)
            if self.targets.kind == "classes":
                answers = F.one_hot(answers, self.targets.outputs).float()
            rows.append([file, str(len(answers)), *(f"{mean:.4g}" for mean in answers.mean(0))])
        return ["file", "steps", *columns], rows

    def counts(self) -> Counter[str]:
        """How often each class was predicted, over samples or steps; empty for other targets."""
        if self.targets.kind != "classes":
            return Counter()
        found = self.answers[self.answers != UNLABELLED]
        return Counter(self.targets.name(int(k)) for k in found)

    def _cells(self, place: tuple[int, ...]) -> list[str]:
        answer = self.answers[place]
        if self.probabilities is None:
            return [f"{value:.7g}" for value in answer.tolist()]
        shares = [f"{value:.6f}" for value in self.probabilities[place].tolist()]
        if self.targets.kind == "labels":
            return [" ".join(self._named(answer)), *shares]
        return [self._named(answer), shares[int(answer)], *shares]

    def _named(self, answer: Tensor) -> Any:
        if self.targets.kind == "classes":
            return self.targets.name(int(answer))
        if self.targets.kind == "labels":
            return [self.targets.name(k) for k, on in enumerate(answer.tolist()) if on == 1]
        return answer.tolist()

    def _valid(self, row: int) -> Tensor:
        """The answers of a sample's own steps."""
        answers = self.answers[row]
        return answers if self.lengths is None else answers[: int(self.lengths[row])]

    def _brief(self, row: int) -> str:
        if self.targets.per_step:
            return f"{len(self._valid(row))} steps"
        cells = self._cells((row,))
        if self.targets.kind == "classes":
            return f"{cells[0]} ({float(cells[1]):.2f})"
        if self.targets.kind == "labels":
            return cells[0] or "none"
        return " ".join(cells)


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several batches as one. Shorter sequences are padded with NaN."""
    first = parts[0]
    if len(parts) == 1:
        return first
    longest = max(part.scores.shape[1] for part in parts)

    def all_of(name: str) -> Tensor | None:
        found = [getattr(part, name) for part in parts]
        if found[0] is None:
            return None
        if first.targets.per_step and name != "lengths":
            found = [_padded(one, longest) for one in found]
        return torch.cat(found)

    scores, answers = all_of("scores"), all_of("answers")
    assert scores is not None
    assert answers is not None
    return Predictions(first.targets, scores, answers, all_of("probabilities"), all_of("lengths"))


def _padded(values: Tensor, steps: int) -> Tensor:
    missing = steps - values.shape[1]
    if not missing:
        return values
    nothing = float("nan") if values.is_floating_point() else UNLABELLED
    return torch.cat(
        [values, values.new_full((len(values), missing, *values.shape[2:]), nothing)], 1
    )
