"""CLIF: a second membrane that gives gradients another way through time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.lif import LIF
from neurodyn.neurons.reset import Reset, SoftReset


class CLIF(LIF):
    """Complementary LIF (Huang et al., ICML 2024):

        h[t] = u[t-1] - u[t-1] / tau + x[t]
        s[t] = H(h[t] - V_th)
        m[t] = m[t-1] sigmoid(h[t] / tau) + s[t]
        u[t] = h[t] - s[t] (V_th + sigmoid(m[t]))

    A neuron that has fired lately is reset further down. There is nothing to learn in it.

    Args:
        features, tau, decay_input, **options: as for `LIF`.
        reset: has to be soft; the equation is made of it.
    """

    states = ("u", "m")
    operations = (3, 3)

    def __init__(
        self, features: Features = None, *, reset: str | Reset = "soft", **options: Any
    ) -> None:
        super().__init__(features, reset=reset, **options)
        if not isinstance(self.reset, SoftReset):
            raise ValueError(f"reset: CLIF subtracts, expected 'soft', got {reset!r}")

    def step(self, x: Tensor, u: Tensor, m: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        h = self.driven(self.integrate(x, u))
        s = self.spike(h - self.threshold)
        m = m * torch.sigmoid(self.leak * h) + s
        return s, self.reset(h, s, self.threshold + torch.sigmoid(m)), m

    variance = Neuron.variance
