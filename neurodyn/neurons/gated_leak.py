"""GLIF: leak, input and reset, each a gated mix of two kinds."""

from __future__ import annotations

from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Neuron


class GLIF(Neuron):
    """Gated LIF (Yao et al., NeurIPS 2022), the soft gates of its code:

        u[t] = (1 - alpha (1 - decay)) (1 - gamma s[t-1]) u[t-1] - (1 - alpha) leak
               + (1 - beta (1 - conduct)) x[t] - (1 - gamma) drop s[t-1]
        s[t] = H(u[t] - V_th)

    The reset is part of the equation, a step later than the spike, so the last spike is a state and
    there is no option for a reset. Gates start in the middle (our choice; the paper's code leaves
    it to the run), and the threshold is learned, as in the paper.

    The paper's conductance differs from step to step of a sequence of fixed length; here a neuron
    is the same at all times. It bounds `drop` and the threshold to (0, 1) as well, which fits its
    threshold of .5 and not ours.

    Args:
        features, **options: as for `Neuron`; the paper has `per="channel"`.
    """

    alpha = Learned(0.5, "gate between exponential and linear leak", low=0.0, high=1.0)
    beta = Learned(0.5, "gate between a conductance and the plain input", low=0.0, high=1.0)
    gamma = Learned(0.5, "gate between hard and soft reset", low=0.0, high=1.0)
    decay = Learned(0.25, "share that the exponential leak leaves per step", low=0.0, high=1.0)
    leak = Learned(0.0625, "what the linear leak takes off per step", low=0.0, high=1.0)
    conduct = Learned(0.5, "the input's conductance", low=0.0, high=1.0)
    drop = Learned("threshold", "what the soft reset takes off")
    threshold = Learned(1.0, "firing threshold `V_th`")
    states = ("u", "s")
    operations = (1, 2)
    own_reset = True

    def step(self, x: Tensor, u: Tensor, s: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        alpha, gamma = self.alpha, self.gamma
        kept = (1 - alpha * (1 - self.decay)) * (1 - gamma * s) * u
        charge = (1 - self.beta * (1 - self.conduct)) * x
        lost = (1 - alpha) * self.leak + (1 - gamma) * self.drop * s
        u = self.driven(kept + charge - lost)
        s = self.spike(u - self.threshold)
        return s, u, s
