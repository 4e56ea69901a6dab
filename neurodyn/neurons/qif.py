"""QIF: the discretised quadratic integrate-and-fire neuron."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Features, Neuron
from neurodyn.surrogate import Rectangle

SHORT = 16
"""Timesteps for which the parabola needs no clip."""


class QIF(Neuron):
    """Quadratic integrate and fire (Jahns et al., arXiv:2510.05168):

        h[t] = u[t-1] + a (u[t-1] - u1)(u[t-1] - u2) + x[t]

    Without input, `u1` is a stable rest where `0 < a (u2 - u1) < 2` and `u2` the unstable critical
    potential: above it the membrane runs to the threshold by itself. A constant input above the
    rheobase `a (u2 - u1)^2 / 4` makes it fire. The exact form is our reading of the paper, which
    fits all that its abstract and figures state. The window is a rectangle of the derived width
    unless given, as in the paper.

    Args:
        features, **options: as for `Neuron`.
        lower: clip the membrane from below at this potential before the square is taken. The
            parabola turns strong inhibition (`u < u1 - 1/a`, -4 by default) into excitation.
            Within a few steps normalised inputs do not get there. Over many steps they do, and
            training diverges: unless given, `set_horizon` sets the clip to -1 for sequences of more
            than 16 steps. -inf is no clip.
    """

    a = Learned(0.25, "gain, 1 / potential; the paper's figure has this one")
    u1 = Learned(0.0, "resting potential")
    u2 = Learned(0.5, "critical potential")
    operations = (2, 2)
    default_surrogate = partial(Rectangle, "derived")

    def __init__(
        self, features: Features = None, *, lower: float | None = None, **options: Any
    ) -> None:
        super().__init__(features, **options)
        self.lower = lower

    def set_horizon(self, steps: int) -> None:
        if self.lower is None and steps > SHORT:
            self.lower = -1.0

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        v = u if self.lower is None else u.clamp(min=self.lower)
        return self.fire(u + self.a * (v - self.u1) * (v - self.u2) + x)

    def variance(self, *, with_reset: bool = False) -> Tensor:
        """`V_th^2 (1 + (1 - a (u1 + u2))^2 + 2 a^2 V_th^2)`; with `lower`, numerically."""
        if with_reset or self.lower is not None:
            return super().variance(with_reset=with_reset)
        power = self.threshold**2
        return power * (1 + (1 - self.a * (self.u1 + self.u2)) ** 2 + 2 * self.a**2 * power)
