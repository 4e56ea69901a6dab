"""The squid's giant axon (Hodgkin and Huxley, J. Physiol. 1952)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neurodyn.biophysics.cell import Cell, Current, by_rates, linoid
from neurodyn.learned import Learned


class HodgkinHuxley(Cell):
    """The squid's giant axon at 6.3 degrees, its rest at -65 mV:

        C dV/dt = I / area - gNa m^3 h (V - ENa) - gK n^4 (V - EK) - gL (V - EL)

        a_m = linoid(-(V + 40) / 10)         b_m = 4 exp(-(V + 65) / 18)
        a_h = .07 exp(-(V + 65) / 20)        b_h = sigmoid((V + 35) / 10)
        a_n = .1 linoid(-(V + 55) / 10)      b_n = .125 exp(-(V + 65) / 80)

    The area makes 1 nA of current 1 uA/cm2.

    Args:
        cells, dt, learn, **given: as for `Cell`.
    """

    C = Learned(1.0, "capacitance, uF/cm2", low=0.0, inverse=True, learn=False)
    area = Learned(1e-3, "membrane area, cm2", low=0.0, inverse=True, learn=False)
    gNa = Learned(120.0, "conductance of sodium, mS/cm2", low=0.0)
    gK = Learned(36.0, "conductance of potassium, mS/cm2", low=0.0)
    gL = Learned(0.3, "conductance of the leak, mS/cm2", low=0.0)
    ENa = Learned(50.0, "reversal potential of sodium, mV")
    EK = Learned(-77.0, "reversal potential of potassium, mV")
    EL = Learned(-54.387, "reversal potential of the leak, mV")
    gates = ("m", "h", "n")
    start_at = -65.0

    def kinetics(self, V: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        v = V + 65
        m = by_rates(linoid(-(v - 25) / 10), 4 * torch.exp(-v / 18))
        h = by_rates(0.07 * torch.exp(-v / 20), torch.sigmoid((v - 30) / 10))
        n = by_rates(0.1 * linoid(-(v - 10) / 10), 0.125 * torch.exp(-v / 80))
        return m, h, n

    def currents(  # type: ignore[override]
        self, m: Tensor, h: Tensor, n: Tensor
    ) -> Sequence[Current]:
        n2 = n * n
        return (
            (self.gNa * m * m * m * h, self.ENa),
            (self.gK * n2 * n2, self.EK),
            (self.gL, self.EL),
        )
