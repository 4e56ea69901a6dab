"""Neurons that adapt: spikes raise the threshold, or draw current off the membrane."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from neurodyn.neurons.base import Features, Neuron


class ALIF(Neuron):
    """LIF with an adaptive threshold (LSNN, Bellec et al., NeurIPS 2018):

        h[t] = u[t-1] - u[t-1] / tau + x[t]
        s[t] = H(h[t] - V_th - g a[t-1])
        a[t] = rho a[t-1] + s[t]

    Args:
        features, **options: as for `Neuron`. A soft reset subtracts the threshold as it is then.
        tau: membrane time constant in timesteps, >= 1.
        rho: what is left of the adaptation after a step, in [0, 1].
        jump: `g`, what a spike adds to the threshold.
        learn: train `rho` and `g`.
    """

    states = ("u", "a")
    operations = (3, 3)

    def __init__(
        self,
        features: Features = None,
        *,
        tau: float = 2.0,
        rho: float = 0.9,
        jump: float = 0.2,
        learn: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(features, **options)
        if tau < 1:
            raise ValueError(f"tau: expected at least one timestep, got {tau}")
        if not 0 <= rho <= 1:
            raise ValueError(f"rho: expected a share from 0 to 1, got {rho}")
        self.leak = self.parameter(1 / tau, learn=False)
        self.rho = self.parameter(rho, learn=learn)
        self.jump = self.parameter(jump, learn=learn)

    def step(self, x: Tensor, u: Tensor, a: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        s, u = self.fire(u - self.leak * u + x, self.threshold + self.jump * a)
        return s, u, self.rho * a + s


class AdLIF(Neuron):
    """LIF with an adaptation current, sub-threshold and by spikes (Bittar & Garner 2022):

        w[t] = beta w[t-1] + a u[t-1] + b s[t-1]
        u[t] = alpha (u[t-1] - V_th s[t-1]) + (1 - alpha)(x[t] - w[t])
        s[t] = H(u[t] - V_th)

    The reset is part of the equation, a step later than the spike, so the last spike is a state and
    there is no option for a reset.

    Args:
        features, **options: as for `Neuron`.
        alpha: decay of the membrane, in [0, 1].
        beta: decay of the adaptation, in [0, 1].
        a: how the membrane drives the adaptation.
        b: how spikes drive it.
        learn: train all four.
    """

    states = ("u", "w", "s")
    operations = (4, 4)

    def __init__(
        self,
        features: Features = None,
        *,
        alpha: float = 0.66,
        beta: float = 0.97,
        a: float = 0.5,
        b: float = 1.0,
        learn: bool = True,
        **options: Any,
    ) -> None:
        for name, default in (("reset", "hard"), ("detach_reset", False)):
            if options.get(name, default) != default:
                raise ValueError(f"{name}: AdLIF has its own reset, got {options[name]!r}")
        super().__init__(features, **options)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a share from 0 to 1, got {value}")
        self.alpha = self.parameter(alpha, learn=learn)
        self.beta = self.parameter(beta, learn=learn)
        self.a = self.parameter(a, learn=learn)
        self.b = self.parameter(b, learn=learn)

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, w: Tensor, s: Tensor
    ) -> tuple[Tensor, ...]:
        w = self.beta * w + self.a * u + self.b * s
        u = self.driven(self.alpha * (u - self.threshold * s) + (1 - self.alpha) * (x - w))
        s = self.spike(u - self.threshold)
        return s, u, w, s
