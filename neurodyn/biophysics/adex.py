"""The adaptive exponential integrate-and-fire cell (Brette and Gerstner 2005)."""

from __future__ import annotations

import torch
from torch import Tensor

from neurodyn.biophysics.compartment import Compartment
from neurodyn.learned import Learned


class AdEx(Compartment):
    """Adaptive exponential integrate and fire (Brette and Gerstner, J. Neurophysiol. 2005):

        C dV/dt = I - gL (V - EL) + gL DeltaT exp((V - VT) / DeltaT) - w
        tau_w dw/dt = a (V - EL) - w

    A spike is where `V` reaches `Vpeak`: the potential shows the peak there, `V` starts again from
    `Vreset`, and `w` gains `b`. The defaults are the paper's.

    A step of `dt` is exponential Euler: first `V`, then `w`, each exactly as if the other, and the
    upstroke, stood still.

    Args:
        cells, dt, learn, **given: as for `Compartment`.
    """

    C = Learned(0.281, "capacitance, nF", low=0.0, inverse=True)
    gL = Learned(0.03, "conductance of the leak, uS", low=0.0)
    EL = Learned(-70.6, "reversal potential of the leak, mV")
    VT = Learned(-50.4, "where the slope of the upstroke is that of the leak, mV")
    DeltaT = Learned(2.0, "sharpness of the upstroke, mV", low=0.0)
    a = Learned(0.004, "adaptation by the potential, uS")
    tau_w = Learned(144.0, "time constant of the adaptation, ms", low=0.0, inverse=True)
    b = Learned(0.0805, "adaptation by a spike, nA")
    Vreset = Learned(-70.6, "potential after a spike, mV")
    Vpeak = Learned(20.0, "potential at which a spike ends, mV", learn=False)

    @property
    def states(self) -> tuple[str, ...]:
        return "V", "w"

    def resting(self) -> Tensor:
        return self.EL

    def at_rest(self, V: Tensor) -> tuple[Tensor, ...]:
        return (self.a * (V - self.EL),)

    def step(  # type: ignore[override]
        self, current: Tensor, V: Tensor, w: Tensor
    ) -> tuple[Tensor, ...]:
        upstroke = self.DeltaT * torch.exp((V - self.VT) / self.DeltaT)
        goal = self.EL + upstroke + (current - w) / self.gL
        V = goal + (V - goal) * torch.exp(-self.dt / self.C * self.gL)
        # Above the peak the upstroke runs away within a step.
        V = torch.minimum(V, self.Vpeak)
        toward = self.a * (V - self.EL)
        w = toward + (w - toward) * torch.exp(-self.dt / self.tau_w)
        fired = self.Vpeak <= V
        return V, torch.where(fired, self.Vreset, V), torch.where(fired, w + self.b, w)
