"""EIF: the exponential integrate-and-fire neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.lif import Leaky


class EIF(Leaky):
    """Exponential integrate and fire (Fourcaud-Trocme et al., J. Neurosci. 2003):

        h[t] = u[t-1] + (1/tau) (-u[t-1] + delta exp((v - v_T) / delta)) + x[t]
        v = min(u[t-1], V_th)

    Near `v_T`, `onset`, the upstroke of the spike begins: from the critical potential above it the
    membrane runs to the threshold by itself. By default that potential is .9 thresholds. The bound
    on `v` is ours; it acts only where a reset leaves the membrane above the threshold, and keeps
    the exponential finite there.

    Args:
        features, decay_input, **options: as for `LIF`.
    """

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, link="exp", inverse=True)
    delta = Learned(0.2, "sharpness of the upstroke, in units of the potential", low=0.0)
    onset = Learned(0.6, "`v_T`, where the exponential's slope is 1")
    operations = (3, 2)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        v = torch.minimum(u, self.threshold)
        upstroke = self.delta * torch.exp((v - self.onset) / self.delta)
        return self.fire(self.integrate(x, u) + self.leak * upstroke)
