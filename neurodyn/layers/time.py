"""One frame at every timestep, and layers without a state at every timestep."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.errors import not_over_time
from neurodyn.layers.pointwise import warn_of_strided_pointwise


def repeat(x: Tensor, T: int) -> Tensor:
    """Direct coding: the same frame `(B, ...)` at each of `T` steps, `(T, B, ...)`, as a view."""
    if T < 1:
        raise ValueError(f"T: expected at least one timestep, got {T}")
    return x.expand(T, *x.shape)


class TimeDistributed(nn.Sequential):
    """Apply stateless layers to every timestep at once, by folding time into the batch.

    `(T, B, ...) -> (T, B, ...)`. If a sequence has the same frame at every step (`repeat`), the
    layers run once and the result is expanded. So the first convolution of a directly coded network
    costs 1/T; batch statistics are the same. (Dropout inside then drops the same units at every
    step.)
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__(*layers)
        warn_of_strided_pointwise("TimeDistributed", self)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 3:
            raise not_over_time(("features...",), x.shape)
        T = x.shape[0]
        # An exported program may be given other frames than its example shows.
        shown = not torch.compiler.is_exporting()
        if shown and T > 1 and x.stride(0) == 0 and x.numel() > 0:
            return repeat(super().forward(x[0]), T)
        out: Tensor = super().forward(x.flatten(0, 1))
        unfolded: Tensor = out.unflatten(0, (T, x.shape[1]))
        return unfolded
