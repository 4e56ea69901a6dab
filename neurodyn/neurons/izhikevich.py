"""Izhikevich's neuron: a parabola with a recovery variable."""

from __future__ import annotations

from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Neuron


class Izhikevich(Neuron):
    """Izhikevich's simple model (IEEE Trans. Neural Networks 2003), by Euler's rule:

        h[t] = u[t-1] + gain (u[t-1] - rest)(u[t-1] - critical) - w[t-1] + x[t]
        s[t] = H(h[t] - V_th)
        w[t] = w[t-1] + a (b (u[t-1] - rest) - w[t-1]) + d s[t]
        u[t] = h[t] (1 - s[t]) + c s[t]

    The paper prints the parabola as `.04 v^2 + 5 v + 140` in mV. Its regular spiking neuron, at
    100 mV per unit and 1 ms per step from -70 mV, is exactly `gain=4, critical=.15` and
    `HardReset(.05)`. The default parabola is the flatter one of `QIF`, which suits normalised
    input (our choice); the recovery's default is that neuron's. `c`, the reset value, is learned
    from 0 unless a `reset` is given.

    Args:
        features, **options: as for `Neuron`.
    """

    gain = Learned(0.25, "gain of the parabola, 1 / potential")
    rest = Learned(0.0, "resting potential")
    critical = Learned(0.5, "critical potential")
    a = Learned(0.02, "rate of the recovery per step", low=0.0, high=1.0, link="clamp")
    b = Learned(0.2, "how the membrane drives the recovery")
    d = Learned(0.08, "what a spike adds to the recovery")
    states = ("u", "w")
    operations = (4, 5)
    default_reset = "learned"

    @property
    def tau_w(self) -> Tensor:
        """Time constant of the recovery, timesteps: `1 / a`."""
        return 1 / self.a

    def step(self, x: Tensor, u: Tensor, w: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        above = u - self.rest
        s, after = self.fire(u + self.gain * above * (u - self.critical) - w + x)
        return s, after, w + self.a * (self.b * above - w) + self.d * s
