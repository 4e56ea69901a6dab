"""Linear neurons: IF, LIF, PLIF and DecayLIF; KLIF, which rectifies."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.ranged import LOGIT, Link, Range, Ranged
from neurodyn.neurons.reset import Reset


class IF(Neuron):
    """Integrate and fire: `h[t] = u[t-1] + x[t]`.

    Takes the options of `Neuron`.
    """

    operations = (0, 1)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(u + x)

    def variance(self, *, with_reset: bool = False) -> Tensor:
        if with_reset:
            return super().variance(with_reset=True)
        return 2 * self.threshold**2


class LIF(Neuron):
    """Leaky integrate and fire:

        h[t] = u[t-1] - u[t-1] / tau + x[t]
        h[t] = u[t-1] + (x[t] - u[t-1]) / tau       with decay_input

    Args:
        features, **options: as for `Neuron`.
        tau: membrane time constant in timesteps, >= 1. The default 2 is the decay factor
            lambda = 1 - 1/tau = .5 of the deep-SNN recipes (TET, Deng et al. 2022).
        decay_input: the input is scaled by 1/tau too, as in SpikingJelly's default.
    """

    operations = (1, 1)

    def __init__(
        self,
        features: Features = None,
        *,
        tau: float = 2.0,
        decay_input: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(features, **options)
        if tau < 1:
            raise ValueError(f"tau: expected at least one timestep, got {tau}")
        self.decay_input = decay_input
        self.declare_leak(tau)

    def declare_leak(self, tau: float) -> None:
        """Create what `leak` is made of."""
        self.fixed_leak = self.parameter(1 / tau, learn=False)

    @property
    def leak(self) -> Tensor:
        """The leak a step, `1 / tau`."""
        return self.fixed_leak

    def integrate(self, x: Tensor, u: Tensor) -> Tensor:
        """The charged membrane."""
        if self.decay_input:
            return u + self.leak * (x - u)
        return u - self.leak * u + x

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(self.integrate(x, u))

    def variance(self, *, with_reset: bool = False) -> Tensor:
        if with_reset:
            return super().variance(with_reset=True)
        gain = self.leak if self.decay_input else 1.0
        return self.threshold**2 * (gain**2 + (1 - self.leak) ** 2)


class PLIF(LIF):
    """LIF with a learned time constant: `1 / tau = sigmoid(w)` (Fang et al., ICCV 2021).

    Takes the options of `LIF`; `tau` > 1 is where it starts. `per` says how many time constants a
    layer has (the paper: one). The paper scales the input as well: `decay_input=True`.
    """

    links: ClassVar[dict[str, Link]] = {"w": LOGIT}

    def declare_leak(self, tau: float) -> None:
        if tau <= 1:
            raise ValueError(f"tau: a learned time constant has to start above 1, got {tau}")
        self.w = self.parameter(-math.log(tau - 1))

    @property
    def leak(self) -> Tensor:
        return torch.sigmoid(self.w)


class DecayLIF(LIF):
    """LIF by its decay `alpha`, learned within bounds (Bittar & Garner 2022; arXiv:2512.01906):

        h[t] = alpha (h[t-1] - V_th s[t-1]) + (1 - alpha) x[t]

    The sources write the reset into the next step; that is a soft reset at once, `u = h - V_th s`.

    Args:
        features, **options: as for `Neuron`.
        alpha: a range that the decay starts in and is kept in, or where it starts, in [0, 1].
        reset: soft, as in the sources.
        learn: train `alpha`.
    """

    def __init__(
        self,
        features: Features = None,
        *,
        alpha: Range = (0.36, 0.96),
        reset: str | Reset = "soft",
        learn: bool = True,
        **options: Any,
    ) -> None:
        super(LIF, self).__init__(features, reset=reset, **options)
        self.decay_input = True
        self.alpha = Ranged("alpha", alpha, self.threshold.shape, limits=(0, 1), learn=learn)

    @property
    def leak(self) -> Tensor:
        return 1 - self.alpha.now


class KLIF(LIF):
    """LIF with a learned gain and a rectifier before the spike (Jiang & Zhang, arXiv:2302.09238):

        h[t] = max(0, k (u[t-1] + (x[t] - u[t-1]) / tau))

    Args:
        features, tau, **options: as for `LIF`.
        k: where the gain starts; learned.
        decay_input: True, as in the paper.
    """

    def __init__(
        self,
        features: Features = None,
        *,
        k: float = 1.0,
        decay_input: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(features, decay_input=decay_input, **options)
        self.k = self.parameter(k)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(torch.relu(self.k * self.integrate(x, u)))

    variance = Neuron.variance
