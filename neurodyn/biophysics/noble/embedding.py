"""How numbers reach a neural operator: as waves over the window."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neurodyn.errors import check, unknown

ORDER = ("threshold", "slope", "amplitude")
"""The order of the embedded numbers in the channels. The raw current comes last."""
FEATURES = ("threshold", "slope")
"""The features of a model, in the order of the input's columns."""
SPAN = (0.5, 3.5)
"""The range that features are scaled to."""
UNIT = 0.1
"""A current of this size [nA] counts as 1."""
TOP = {"threshold": 3.5, "slope": 3.5, "amplitude": 2.8}
"""The largest number of each kind, in its units, that the grid has to resolve."""


def waves(p: Tensor, frequencies: int, n: int) -> Tensor:
    """A number as waves over a grid of n points, `(B, 2 frequencies, n)`:

        sin(2^k pi p tau), cos(2^k pi p tau)      k = 0, 1, ...; tau from 0 to 2 pi

    Args:
        p: the numbers, `(B,)`.
        frequencies: how many.
        n: points of the grid.
    """
    tau = torch.linspace(0, 2 * math.pi, n, dtype=p.dtype, device=p.device)
    power = 2.0 ** torch.arange(frequencies, dtype=p.dtype, device=p.device)
    phase = math.pi * p[:, None, None] * power[:, None] * tau
    return torch.stack([phase.sin(), phase.cos()], 2).flatten(1, 2)


class Embedding(nn.Module):
    """The channels of a neural operator, from the current and the features of a model.

    Features are scaled to 0.5 .. 3.5 over the models that `fit` has seen, the training models. The
    amplitude is the current of largest size in the window, with its sign; .1 nA counts as 1. Each
    becomes waves (`waves`), and the current itself is the last channel. The order of the channels
    is that of `ORDER`, in whatever order the frequencies are given.

    Args:
        frequencies: how many for "threshold", "slope" and "amplitude"; 0 leaves one out.
    """

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        super().__init__()
        for name, number in frequencies.items():
            if name not in ORDER:
                raise unknown("embed", name, ORDER)
            check(f"embed.{name}", number, 0)
        self.frequencies = {name: int(frequencies.get(name, 0)) for name in ORDER}
        self.low = nn.Buffer(torch.full((len(FEATURES),), torch.nan))
        self.high = nn.Buffer(torch.full((len(FEATURES),), torch.nan))

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return 2 * sum(self.frequencies.values()) + 1

    @property
    def fitted(self) -> bool:
        """Whether the features have a scale."""
        return not bool(self.low.isnan().any())

    def fit(self, features: Tensor) -> None:
        """Scale by the features `(models, 2)` of the training models, and of no other.

        Raises:
            ValueError: a feature is the same for all of them, so that it has no scale.
        """
        low, high = features.aminmax(dim=0)
        for name, same in zip(FEATURES, (low == high).tolist(), strict=True):
            if same and self.frequencies[name]:
                raise ValueError(
                    f"features: expected training models that differ in {name}, got "
                    f"{low[FEATURES.index(name)]:g} for all {len(features)}"
                )
        self.low.copy_(low)
        self.high.copy_(high)

    def forward(self, x: Tensor) -> Tensor:
        """Channels `(B, channels, T)`, from `(T, B, 3)`: the current [nA], threshold and slope."""
        self._check(len(x))
        current, features = x[..., 0], x[0, :, 1:]
        low, high = SPAN
        scaled = low + (high - low) * (features - self.low) / (self.high - self.low)
        largest = current.abs().argmax(0, keepdim=True)
        numbers = dict(zip(FEATURES, scaled.unbind(1), strict=True))
        numbers["amplitude"] = current.gather(0, largest)[0] / UNIT
        parts = [waves(numbers[name], k, len(x)) for name, k in self.frequencies.items() if k]
        return torch.cat([*parts, current.T[:, None] / UNIT], 1)

    def _check(self, n: int) -> None:
        if not self.fitted and any(self.frequencies[name] for name in FEATURES):
            raise ValueError(
                "embed: the features have no scale yet; expected `fit` to be called with those of "
                "the training models, or weights that were trained"
            )
        for name, k in self.frequencies.items():
            waves = math.pi * 2.0 ** (k - 1) * TOP[name]
            if k and not waves < n / 2:
                raise ValueError(
                    f"embed.{name}: {k} frequencies make up to {waves:.0f} waves in the window, "
                    f"which {n} points do not resolve: expected pi 2^(K-1) {TOP[name]} below half "
                    "the points, so fewer frequencies or a finer grid"
                )

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={k}" for name, k in self.frequencies.items())
