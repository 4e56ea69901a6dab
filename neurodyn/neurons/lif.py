"""Leaky integrators: IF, LIF, PLIF and DecayLIF; KLIF, which rectifies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.emission import Emitting


class IF(Emitting):
    """Integrate and fire: `h[t] = u[t-1] + x[t]`.

    Args:
        features, emission, **options: as for `Emitting`.
    """

    operations = (0, 1)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(u + x)

    def variance(self, *, with_reset: bool = False) -> Tensor:
        if with_reset:
            return super().variance(with_reset=True)
        return 2 * self.threshold**2


class Leaky(Neuron):
    """Base of the neurons whose membrane leaks a share `1/tau` of itself per step. A subclass
    declares `tau`.

    Args:
        features, **options: as for `Neuron`.
        decay_input: the input is scaled by `1/tau` too, as in SpikingJelly's default.
    """

    tau: Any
    """Membrane time constant, timesteps."""

    def __init__(
        self, features: Features = None, *, decay_input: bool = False, **options: Any
    ) -> None:
        super().__init__(features, **options)
        self.decay_input = decay_input

    @property
    def leak(self) -> Tensor:
        """The share of the membrane that leaks per step."""
        leak: Tensor = 1 / self.tau
        return leak

    def integrate(self, x: Tensor, u: Tensor) -> Tensor:
        """The membrane after leak and input."""
        if self.decay_input:
            return u + self.leak * (x - u)
        return u - self.leak * u + x


class Linear(Emitting, Leaky):
    """Base of the leaky neurons that do nothing else: the charged membrane is what `integrate`
    gives."""

    operations = (1, 1)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(self.integrate(x, u))

    def variance(self, *, with_reset: bool = False) -> Tensor:
        if with_reset:
            return super().variance(with_reset=True)
        gain = self.leak if self.decay_input else 1.0
        return self.threshold**2 * (gain**2 + (1 - self.leak) ** 2)


class LIF(Linear):
    """Leaky integrate and fire:

        h[t] = u[t-1] - u[t-1] / tau + x[t]
        h[t] = u[t-1] + (x[t] - u[t-1]) / tau       with decay_input

    The default time constant is the decay factor lambda = 1 - 1/tau = .5 of the deep-SNN recipes
    (TET, Deng et al. 2022).

    Args:
        features, emission, **options: as for `Emitting`.
        decay_input: the input is scaled by 1/tau too, as in SpikingJelly's default.
    """

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, learn=False, inverse=True)


class PLIF(Linear):
    """LIF with a learned time constant (Fang et al., ICCV 2021):

        h[t] = u[t-1] - u[t-1] / tau + x[t]         tau = 1 + exp(-w), that is 1/tau = sigmoid(w)

    `per` says how many time constants a layer has (the paper: one). The paper scales the input as
    well: `decay_input=True`.

    Args:
        features, decay_input, emission, **options: as for `LIF`.
    """

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, link="exp", inverse=True)


class DecayLIF(Emitting):
    """LIF by its decay `alpha`, learned within bounds (Bittar & Garner 2022; arXiv:2512.01906):

        h[t] = alpha (h[t-1] - V_th s[t-1]) + (1 - alpha) x[t]

    The sources write the reset into the next step; that is a soft reset at once, `u = h - V_th s`,
    the default. The range that `alpha` starts in is also the one that it is kept in.

    Args:
        features, emission, **options: as for `Emitting`.
    """

    alpha = Learned(
        (0.36, 0.96), "share of the membrane that a step keeps", low=0.36, high=0.96, link="clamp"
    )
    operations = (1, 1)
    default_reset = "soft"

    @property
    def tau(self) -> Tensor:
        """Membrane time constant, timesteps: `1 / (1 - alpha)`."""
        return 1 / (1 - self.alpha)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(u + (1 - self.alpha) * (x - u))

    def variance(self, *, with_reset: bool = False) -> Tensor:
        if with_reset:
            return super().variance(with_reset=True)
        leak = 1 - self.alpha
        return self.threshold**2 * (leak**2 + (1 - leak) ** 2)


class KLIF(Leaky):
    """LIF with a learned gain and a rectifier before the spike (Jiang & Zhang, arXiv:2302.09238):

        h[t] = max(0, k (u[t-1] + (x[t] - u[t-1]) / tau))

    Args:
        features, **options: as for `Neuron`.
        decay_input: the input is scaled by 1/tau, as in the paper.
    """

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, learn=False, inverse=True)
    k = Learned(1.0, "gain")
    operations = (1, 1)

    def __init__(
        self, features: Features = None, *, decay_input: bool = True, **options: Any
    ) -> None:
        super().__init__(features, decay_input=decay_input, **options)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(torch.relu(self.k * self.integrate(x, u)))
