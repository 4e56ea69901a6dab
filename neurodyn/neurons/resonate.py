"""BRF: the balanced resonate-and-fire neuron."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.ranged import Range, Ranged
from neurodyn.neurons.reset import Reset


class BRF(Neuron):
    """Balanced resonate and fire (Higuchi et al., ICML 2024): a damped oscillator, the complex
    membrane as two real states.

        b    = (sqrt(1 - (dt omega)^2) - 1) / dt - offset - q[t-1]
        u[t] = u[t-1] + dt (b u[t-1] - omega v[t-1]) + x[t]
        v[t] = v[t-1] + dt (omega u[t-1] + b v[t-1])
        s[t] = H(u[t] - V_th - q[t-1])
        q[t] = gamma q[t-1] + s[t]

    The first term of `b` is the damping at which Euler's rule neither grows nor dies out; `offset`
    is what is damped beyond it. A spike raises threshold and damping through `q`, the smooth reset.
    Input at the frequency `omega / 2 pi` excites it most.

    Args:
        features, **options: as for `Neuron`.
        omega: angular frequency, radians a unit of time: a range that it starts in, drawn uniformly
            for each channel or neuron, or a number; learned, between 0 and .99 / dt.
        offset: damping, likewise, at least 0. The default ranges are the paper's for SHD.
        dt: time of a step.
        gamma: what is left of the refractory variable `q` after a step, in [0, 1].
        scale_input: the input is multiplied by `dt` too, as in the paper.
        learn: train `omega` and `offset`.
        reset: none on top, as in the paper.
    """

    states = ("u", "v", "q")
    operations = (6, 6)

    def __init__(
        self,
        features: Features = None,
        *,
        omega: Range = (5.0, 10.0),
        offset: Range = (2.0, 3.0),
        dt: float = 0.01,
        gamma: float = 0.9,
        scale_input: bool = False,
        learn: bool = True,
        reset: str | Reset = "none",
        **options: Any,
    ) -> None:
        super().__init__(features, reset=reset, **options)
        if not dt > 0:
            raise ValueError(f"dt: expected a positive time, got {dt}")
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma: expected a share from 0 to 1, got {gamma}")
        self.dt, self.scale_input = float(dt), scale_input
        shape = self.threshold.shape
        # At 1 / dt the damping has a slope without bound.
        self.omega = Ranged("omega", omega, shape, limits=(0, 0.99 / dt), keep=False, learn=learn)
        self.offset = Ranged("offset", offset, shape, limits=(0, math.inf), keep=False, learn=learn)
        self.gamma = self.parameter(gamma, learn=False)

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, v: Tensor, q: Tensor
    ) -> tuple[Tensor, ...]:
        turn = self.dt * self.omega.now
        damping = torch.sqrt(1 - turn * turn) - 1 - self.dt * (self.offset.now + q)
        x = self.dt * x if self.scale_input else x
        s, after = self.fire(u + damping * u - turn * v + x, self.threshold + q)
        return s, after, v + turn * u + damping * v, self.gamma * q + s
