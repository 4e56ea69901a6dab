"""One frame at every timestep, and layers without a state at every timestep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


_valid: ContextVar[Tensor | None] = ContextVar("valid", default=None)
_open = [0]
"""How many `padded` are open. `torch.compile` reads this, but breaks its graph at a ContextVar."""


def valid_steps() -> Tensor | None:
    """The steps of the current batch that are not padding, `(T, B)`, bool; None if all are.

    They are set by `padded`.
    """
    return _valid.get() if _open[0] else None


@contextmanager
def padded(lengths: Tensor, T: int) -> Iterator[Tensor]:
    """While this lasts, sequences `(T, B, ...)` are taken to be padded at the end:

        with padded(lengths, len(x)) as valid:
            outputs = network(x)

    Layers without a state (`TimeDistributed`) then run on the valid steps only, so padding does not
    enter the statistics of batch normalisation. Neurons and delays run from the first step to the
    last: what comes later does not change what was before.

    Args:
        lengths: the number of steps of each sample, `(B,)`.
        T: the number of steps with padding.

    Yields:
        the valid steps `(T, B)`, bool.
    """
    if not isinstance(lengths, Tensor) or lengths.ndim != 1 or lengths.is_floating_point():
        found = getattr(lengths, "shape", type(lengths).__name__)
        raise ValueError(f"lengths: expected a tensor (B,) of whole numbers, got {found}")
    low, high = torch.stack(lengths.aminmax()).tolist()
    if not 1 <= low <= high <= T:
        raise ValueError(f"lengths: expected numbers from 1 to {T}, got {low} to {high}")
    valid = torch.arange(T, device=lengths.device)[:, None] < lengths
    token = _valid.set(None if low == T else valid)
    _open[0] += 1
    try:
        yield valid
    finally:
        _open[0] -= 1
        _valid.reset(token)


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
        valid = valid_steps()
        if valid is not None:
            return self._on(valid, x)
        out: Tensor = super().forward(x.flatten(0, 1))
        unfolded: Tensor = out.unflatten(0, (T, x.shape[1]))
        return unfolded

    def _on(self, valid: Tensor, x: Tensor) -> Tensor:
        """The layers on the valid steps; zeros elsewhere."""
        if valid.shape != x.shape[:2]:
            raise ValueError(
                f"x: expected {tuple(valid.shape)} steps and samples, of which some are padding, "
                f"got {tuple(x.shape)}"
            )
        out: Tensor = super().forward(x[valid])
        whole = out.new_zeros(*valid.shape, *out.shape[1:])
        whole[valid] = out
        return whole
