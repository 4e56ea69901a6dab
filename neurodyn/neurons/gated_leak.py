"""GLIF: leak, input and reset, each a gated mix of two kinds."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.ranged import Share
from neurodyn.neurons.reset import refuse_reset


class GLIF(Neuron):
    """Gated LIF (Yao et al., NeurIPS 2022), the soft gates of its code:

        u[t] = (1 - alpha (1 - decay)) (1 - gamma s[t-1]) u[t-1] - (1 - alpha) leak
               + (1 - beta (1 - conduct)) x[t] - (1 - gamma) drop s[t-1]
        s[t] = H(u[t] - V_th)

    The gate `alpha` mixes exponential and linear leak, `beta` a conductance and the plain input,
    `gamma` hard and soft reset. The reset is part of the equation, a step later than the spike, so
    the last spike is a state and there is no option for a reset.

    All but `drop` and the threshold lie in (0, 1) and are learned as their logits. The paper's
    conductance differs from step to step of a sequence of fixed length; here a neuron is the same
    at all times. It bounds `drop` and the threshold to (0, 1) as well, which fits its threshold of
    .5 and not ours.

    Args:
        features, **options: as for `Neuron`; the paper has `per="channel"`.
        alpha, beta, gamma: where the gates start; in the middle (our choice, the paper's code
            leaves it to the run).
        decay: what the exponential leak leaves after a step.
        leak: what the linear one takes off.
        conduct: the input's conductance.
        drop: what the soft reset takes off; the threshold unless given.
        learn: train all of them.
        learn_threshold: train the threshold too, as in the paper.
    """

    states = ("u", "s")
    operations = (1, 2)

    def __init__(
        self,
        features: Features = None,
        *,
        alpha: float = 0.5,
        beta: float = 0.5,
        gamma: float = 0.5,
        decay: float = 0.25,
        leak: float = 0.0625,
        conduct: float = 0.5,
        drop: float | None = None,
        learn: bool = True,
        learn_threshold: bool = True,
        **options: Any,
    ) -> None:
        refuse_reset("GLIF", options)
        super().__init__(features, learn_threshold=learn_threshold, **options)
        shape = self.threshold.shape
        self.alpha = Share("alpha", alpha, shape, learn=learn)
        self.beta = Share("beta", beta, shape, learn=learn)
        self.gamma = Share("gamma", gamma, shape, learn=learn)
        self.decay = Share("decay", decay, shape, learn=learn)
        self.leak = Share("leak", leak, shape, learn=learn)
        self.conduct = Share("conduct", conduct, shape, learn=learn)
        start = self.threshold.detach() if drop is None else drop
        self.drop = self.parameter(start, learn=learn)

    def step(self, x: Tensor, u: Tensor, s: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        alpha, gamma = self.alpha.now, self.gamma.now
        kept = (1 - alpha * (1 - self.decay.now)) * (1 - gamma * s) * u
        charge = (1 - self.beta.now * (1 - self.conduct.now)) * x
        lost = (1 - alpha) * self.leak.now + (1 - gamma) * self.drop * s
        u = self.driven(kept + charge - lost)
        s = self.spike(u - self.threshold)
        return s, u, s
