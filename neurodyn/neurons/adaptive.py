"""Neurons that adapt: spikes raise the threshold, or draw current off the membrane."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.ranged import Range, Ranged
from neurodyn.neurons.reset import refuse_reset


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
    there is no option for a reset. Without adaptation (`a = b = 0`) this is `DecayLIF`.

    Args:
        features, **options: as for `Neuron`.
        alpha: decay of the membrane. For this and the others, a range that it starts in, drawn
            uniformly for each channel or neuron, and is kept in; or a number where it starts. The
            default ranges are those of arXiv:2512.01906.
        beta: decay of the adaptation.
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
        alpha: Range = (0.36, 0.96),
        beta: Range = (0.96, 0.99),
        a: Range = (0.0, 1.0),
        b: Range = (0.0, 2.0),
        learn: bool = True,
        **options: Any,
    ) -> None:
        refuse_reset("AdLIF", options)
        super().__init__(features, **options)
        shape = self.threshold.shape
        self.alpha = Ranged("alpha", alpha, shape, limits=(0, 1), learn=learn)
        self.beta = Ranged("beta", beta, shape, limits=(0, 1), learn=learn)
        self.a = Ranged("a", a, shape, learn=learn)
        self.b = Ranged("b", b, shape, learn=learn)

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, w: Tensor, s: Tensor
    ) -> tuple[Tensor, ...]:
        alpha = self.alpha.now
        w = self.beta.now * w + self.a.now * u + self.b.now * s
        u = self.driven(alpha * (u - self.threshold * s) + (1 - alpha) * (x - w))
        s = self.spike(u - self.threshold)
        return s, u, w, s
