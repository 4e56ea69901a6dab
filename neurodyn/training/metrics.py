"""A metric of several values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric


class Columns(Metric):
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
