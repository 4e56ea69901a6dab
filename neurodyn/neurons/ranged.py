"""Parameters within bounds: clamped to a range, or shares between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

Range = float | tuple[float, float]


class Link(NamedTuple):
    """How a number in (0, 1) is learned without bounds: `value(raw)` is what the equation sees. A
    module's `links` name its parameters of that kind."""

    value: Callable[[Tensor], Tensor]
    raw: Callable[[Tensor], Tensor]


LOGIT = Link(torch.sigmoid, torch.logit)


class Ranged(nn.Module):
    """A neuron's parameter `p` that the step sees as `clamp(p, low, high)`: `.now`.

    Beyond an end it has no gradient, as in the reference codes of the neurons that use it.

    Args:
        name: of the option, for errors.
        value: `(low, high)` are the bounds; each entry starts uniformly between them, a layer's
            one in the middle. A number is where all start, bounded by `limits` alone.
        limits: values that make sense.
        shape: the neuron's granularity.
        keep: False draws from the range, and bounds by `limits` alone.
        learn: train it.
    """

    def __init__(
        self,
        name: str,
        value: Range,
        shape: torch.Size,
        *,
        limits: tuple[float, float] = (-math.inf, math.inf),
        keep: bool = True,
        learn: bool = True,
    ) -> None:
        super().__init__()
        fixed = isinstance(value, int | float)
        low, high = (value, value) if isinstance(value, int | float) else value
        if not limits[0] <= low <= high <= limits[1]:
            raise ValueError(
                f"{name}: expected a number or (low, high) from {limits[0]:g} to {limits[1]:g}, "
                f"got {value}"
            )
        self.low, self.high = (low, high) if keep and not fixed else limits
        where = torch.rand(shape) if shape else torch.tensor(0.5)
        start = low + (high - low) * where
        self.raw: Tensor = nn.Parameter(start) if learn else nn.Buffer(start)

    @property
    def now(self) -> Tensor:
        """The value within its bounds."""
        return self.raw.clamp(self.low, self.high)

    def extra_repr(self) -> str:
        return f"{self.low:g} to {self.high:g}"


class Share(nn.Module):
    """A neuron's parameter in (0, 1), learned as its logit: `.now`.

    Args:
        name, shape, learn: as for `Ranged`.
        value: where it starts.
    """

    links: ClassVar[dict[str, Link]] = {"raw": LOGIT}

    def __init__(self, name: str, value: float, shape: torch.Size, *, learn: bool = True) -> None:
        super().__init__()
        if not 0 < value < 1:
            raise ValueError(f"{name}: expected a share between 0 and 1, got {value}")
        start = torch.full(shape, math.log(value / (1 - value)))
        self.raw: Tensor = nn.Parameter(start) if learn else nn.Buffer(start)

    @property
    def now(self) -> Tensor:
        """The share."""
        return torch.sigmoid(self.raw)
