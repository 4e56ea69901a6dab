"""Steps of current, as they are drawn for training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neurodyn.errors import check


@dataclass(frozen=True)
class Steps:
    """A step of direct current in a window, of random amplitude and onset.

    Amplitudes follow a skew-normal distribution, cut to a range:

        I = xi + spread (d |u| + sqrt(1 - d^2) v)      d = skew / sqrt(1 + skew^2), u and v normal

    with `xi` such that its mode is at `mode`, near the currents where cells begin to fire. The
    window begins up to `jitter` earlier, at random. So the step begins between `start` and
    `start + jitter`, and a network cannot learn its place by heart.

    Args:
        amplitudes: the lowest and the highest [nA].
        mode: the most frequent amplitude [nA].
        spread: scale of the distribution [nA].
        skew: shape of the distribution; above 0, large amplitudes are the more frequent ones.
        start: earliest onset in the window [ms].
        duration: of the step [ms].
        window: of the trace [ms].
        jitter: the latest onset is so much later [ms].
    """

    amplitudes: tuple[float, float] = (-0.11, 0.28)
    mode: float = 0.05
    spread: float = 0.12
    skew: float = 2.0
    start: float = 15.0
    duration: float = 400.0
    window: float = 515.0
    jitter: float = 30.0

    def __post_init__(self) -> None:
        low, high = self.amplitudes
        object.__setattr__(self, "amplitudes", (float(low), float(high)))  # YAML has lists.
        if not low < high:
            raise ValueError(f"amplitudes: expected the lower one first, got {self.amplitudes}")
        check("mode", self.mode, low, high)
        check("spread", self.spread, 1e-6)
        for name in ("start", "duration", "jitter"):
            check(name, getattr(self, name), 0.0)
        last = self.start + self.jitter + self.duration
        if self.window < last:
            raise ValueError(
                f"window: expected at least {last:g} ms, in which the latest step ends, got "
                f"{self.window:g}"
            )

    def times(self, dt: float) -> Tensor:
        """The times of the samples [ms]: `dt`, `2 dt`, ... up to the end of the window."""
        return dt * torch.arange(1, round(self.window / dt) + 1, dtype=torch.float64)

    def draw(self, traces: int, dt: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Amplitudes [nA] and onsets [ms] of traces, both `(traces,)`; onsets are multiples of
        `dt`."""
        d = self.skew / math.sqrt(1 + self.skew**2)
        low, high = self.amplitudes
        kept: list[Tensor] = []
        while sum(map(len, kept)) < traces:
            u, v = torch.randn(2, max(traces, 64), generator=generator, dtype=torch.float64)
            drawn = self.mode + self.spread * (
                d * u.abs() + math.sqrt(1 - d * d) * v - _mode(self.skew)
            )
            kept.append(drawn[(drawn >= low) & (drawn <= high)])
        onset = self.start + self.jitter * torch.rand(
            traces, generator=generator, dtype=torch.float64
        )
        onset = (onset / dt).round() * dt
        return torch.cat(kept)[:traces].float(), onset.float()

    def current(self, amplitude: Tensor, onset: Tensor, dt: float) -> Tensor:
        """The current [nA] that flowed in the step of `dt` before each time, `(T, traces)`."""
        middle = (self.times(dt) - dt / 2).to(amplitude.device, torch.float32)[:, None]
        on = (middle > onset) & (middle < onset + self.duration)
        return torch.where(on, amplitude, 0.0)


def _mode(skew: float) -> float:
    """The mode of a standard skew-normal distribution, to .01 (Azzalini 2014)."""
    if skew == 0:
        return 0.0
    d = skew / math.sqrt(1 + skew * skew)
    mean = math.sqrt(2 / math.pi) * d
    std = math.sqrt(1 - mean * mean)
    skewness = (4 - math.pi) / 2 * mean**3 / std**3
    tail = math.copysign(math.exp(-2 * math.pi / abs(skew)), skew)
    return mean - skewness * std / 2 - tail / 2
