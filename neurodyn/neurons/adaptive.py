"""Neurons that adapt: spikes raise the threshold, or draw current off the membrane."""

from __future__ import annotations

from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Neuron


class ALIF(Neuron):
    """LIF with an adaptive threshold (LSNN, Bellec et al., NeurIPS 2018):

        h[t] = u[t-1] - u[t-1] / tau + x[t]
        s[t] = H(h[t] - V_th - g a[t-1])
        a[t] = rho a[t-1] + s[t]

    A soft reset subtracts the threshold as it is then.

    Args:
        features, **options: as for `Neuron`.
    """

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, learn=False, inverse=True)
    rho = Learned(0.9, "share of the adaptation that a step keeps", low=0.0, high=1.0, link="clamp")
    jump = Learned(0.2, "`g`, what a spike adds to the threshold")
    states = ("u", "a")
    operations = (3, 3)

    @property
    def tau_a(self) -> Tensor:
        """Time constant of the adaptation, timesteps: `1 / (1 - rho)`."""
        return 1 / (1 - self.rho)

    def step(self, x: Tensor, u: Tensor, a: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        s, u = self.fire(u - 1 / self.tau * u + x, self.threshold + self.jump * a)
        return s, u, self.rho * a + s


class AdLIF(Neuron):
    """LIF with an adaptation current, sub-threshold and by spikes (Bittar & Garner 2022):

        w[t] = beta w[t-1] + a u[t-1] + b s[t-1]
        u[t] = alpha (u[t-1] - V_th s[t-1]) + (1 - alpha)(x[t] - w[t])
        s[t] = H(u[t] - V_th)

    The reset is part of the equation, a step later than the spike, so the last spike is a state and
    there is no option for a reset. Without adaptation (`a = b = 0`) this is `DecayLIF`. The ranges
    that the parameters start in and are kept in are those of arXiv:2512.01906.

    Args:
        features, **options: as for `Neuron`.
    """

    alpha = Learned(
        (0.36, 0.96), "share of the membrane that a step keeps", low=0.36, high=0.96, link="clamp"
    )
    beta = Learned(
        (0.96, 0.99), "share of the adaptation that a step keeps", low=0.96, high=0.99, link="clamp"
    )
    a = Learned(
        (0.0, 1.0), "how the membrane drives the adaptation", low=0.0, high=1.0, link="clamp"
    )
    b = Learned((0.0, 2.0), "how spikes drive the adaptation", low=0.0, high=2.0, link="clamp")
    states = ("u", "w", "s")
    operations = (4, 4)
    own_reset = True

    @property
    def tau(self) -> Tensor:
        """Membrane time constant, timesteps: `1 / (1 - alpha)`."""
        return 1 / (1 - self.alpha)

    @property
    def tau_w(self) -> Tensor:
        """Time constant of the adaptation, timesteps: `1 / (1 - beta)`."""
        return 1 / (1 - self.beta)

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, w: Tensor, s: Tensor
    ) -> tuple[Tensor, ...]:
        w = self.beta * w + self.a * u + self.b * s
        u = self.driven(self.alpha * (u - self.threshold * s) + (1 - self.alpha) * (x - w))
        s = self.spike(u - self.threshold)
        return s, u, w, s
