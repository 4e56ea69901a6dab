"""CLIF: a second membrane that gives gradients another way through time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Features
from neurodyn.neurons.lif import Leaky
from neurodyn.neurons.reset import SoftReset


class CLIF(Leaky):
    """Complementary LIF (Huang et al., ICML 2024):

        h[t] = u[t-1] - u[t-1] / tau + x[t]
        s[t] = H(h[t] - V_th)
        m[t] = m[t-1] sigmoid(h[t] / tau) + s[t]
        u[t] = h[t] - s[t] (V_th + sigmoid(m[t]))

    A neuron that has fired lately is reset further down. There is nothing to learn in it. Its reset
    is soft: the equation is made of it.

    Args:
        features, decay_input, **options: as for `LIF`.
    """

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, learn=False, inverse=True)
    states = ("u", "m")
    operations = (3, 3)
    default_reset = "soft"

    def __init__(self, features: Features = None, **options: Any) -> None:
        super().__init__(features, **options)
        if not isinstance(self.reset, SoftReset):
            raise ValueError(f"reset: CLIF subtracts, expected 'soft', got {options['reset']!r}")

    def step(self, x: Tensor, u: Tensor, m: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        h = self.driven(self.integrate(x, u))
        s = self.spike(h - self.threshold)
        m = m * torch.sigmoid(self.leak * h) + s
        return s, self.reset(h, s, self.threshold + torch.sigmoid(m)), m
