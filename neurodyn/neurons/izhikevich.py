"""Izhikevich's neuron: a parabola with a recovery variable."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.reset import HardReset, Reset


class Izhikevich(Neuron):
    """Izhikevich's simple model (IEEE Trans. Neural Networks 2003), by Euler's rule:

        h[t] = u[t-1] + gain (u[t-1] - rest)(u[t-1] - critical) - w[t-1] + x[t]
        s[t] = H(h[t] - V_th)
        w[t] = w[t-1] + a (b (u[t-1] - rest) - w[t-1]) + d s[t]
        u[t] = h[t] (1 - s[t]) + c s[t]

    The paper prints the parabola as `.04 v^2 + 5 v + 140` in mV. Its regular spiking neuron, at
    100 mV a unit and 1 ms a step from -70 mV, is exactly `gain=4, critical=.15` and
    `HardReset(.05)`. The default parabola is the flatter one of `QIF`, which suits normalised
    input (our choice); the recovery's default is that neuron's.

    Args:
        features, **options: as for `Neuron`.
        gain, rest, critical: the parabola, as `a`, `u1` and `u2` of `QIF`.
        a: rate of the recovery, a share a step.
        b: how the membrane drives the recovery.
        d: what a spike adds to it.
        learn: train all of them, and `c`.
        reset: to a learned `c` that starts at 0, unless given.
    """

    states = ("u", "w")
    operations = (4, 5)

    def __init__(
        self,
        features: Features = None,
        *,
        gain: float = 0.25,
        rest: float = 0.0,
        critical: float = 0.5,
        a: float = 0.02,
        b: float = 0.2,
        d: float = 0.08,
        learn: bool = True,
        reset: str | Reset | None = None,
        **options: Any,
    ) -> None:
        reset = HardReset(learn=learn) if reset is None else reset
        super().__init__(features, reset=reset, **options)
        if not 0 <= a <= 1:
            raise ValueError(f"a: expected a share from 0 to 1, got {a}")
        self.gain = self.parameter(gain, learn=learn)
        self.rest = self.parameter(rest, learn=learn)
        self.critical = self.parameter(critical, learn=learn)
        self.a = self.parameter(a, learn=learn)
        self.b = self.parameter(b, learn=learn)
        self.d = self.parameter(d, learn=learn)

    def step(self, x: Tensor, u: Tensor, w: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        above = u - self.rest
        s, after = self.fire(u + self.gain * above * (u - self.critical) - w + x)
        return s, after, w + self.a * (self.b * above - w) + self.d * s
