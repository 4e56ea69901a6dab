"""Time and the layers that have none."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurodyn.errors import not_over_time


def repeat(x: Tensor, T: int) -> Tensor:
    """Direct coding: the same frame `(B, ...)` at each of `T` steps, `(T, B, ...)`, as a view."""
    if T < 1:
        raise ValueError(f"T: expected at least one timestep, got {T}")
    return x.expand(T, *x.shape)


class TimeDistributed(nn.Sequential):
    """Apply stateless layers to every timestep at once, by folding time into the batch.

    `(T, B, ...) -> (T, B, ...)`. A sequence that shows one frame at every step (`repeat`) passes
    once and is expanded again afterwards: the first convolution of a directly coded network costs a
    T-th, and batch statistics are the same. (Dropout inside then drops the same units at every
    step.)
    """

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
