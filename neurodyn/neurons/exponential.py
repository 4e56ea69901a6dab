"""EIF: the exponential integrate-and-fire neuron."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.lif import PLIF


class EIF(PLIF):
    """Exponential integrate and fire (Fourcaud-Trocme et al., J. Neurosci. 2003):

        h[t] = u[t-1] + (1/tau) (-u[t-1] + delta exp((v - v_T) / delta)) + x[t]
        v = min(u[t-1], V_th)

    Near `v_T` the upstroke of the spike begins: from the critical potential above it the membrane
    runs to the threshold by itself. The bound on `v` is ours; it acts only where a reset leaves the
    membrane above the threshold, and keeps the exponential finite there.

    Args:
        features, tau, decay_input, **options: as for `PLIF`; `1/tau` is learned as its `w` is.
        delta: sharpness of the upstroke, > 0, in units of the potential; learned as its logarithm.
            By default the critical potential lies at .9 thresholds.
        onset: `v_T`, where the exponential's slope is 1; learned.
    """

    operations = (3, 2)

    def __init__(
        self, features: Features = None, *, delta: float = 0.2, onset: float = 0.6, **options: Any
    ) -> None:
        super().__init__(features, **options)
        if not delta > 0:
            raise ValueError(f"delta: expected a positive potential, got {delta}")
        self.log_delta = self.parameter(math.log(delta))
        self.onset = self.parameter(onset)

    def integrate(self, x: Tensor, u: Tensor) -> Tensor:
        delta = self.log_delta.exp()
        v = torch.minimum(u, self.threshold)
        upstroke = delta * torch.exp((v - self.onset) / delta)
        return super().integrate(x, u) + self.leak * upstroke

    variance = Neuron.variance
