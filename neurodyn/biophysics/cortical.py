"""Cells of the cortex and the hippocampus, with the kinetics of Traub and Miles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from neurodyn.biophysics.cell import Cell, Current, Gate, by_rates, linoid
from neurodyn.biophysics.noble.family import CellFamily
from neurodyn.learned import Learned


def traub_miles(v: Tensor) -> tuple[Gate, Gate, Gate]:
    """The gates m, h and n at `v`, the potential above `VT` [mV] (Traub and Miles 1991, in the form
    of Pospischil et al. 2008)."""
    m = by_rates(0.32 * 4 * linoid(-(v - 13) / 4), 0.28 * 5 * linoid((v - 40) / 5))
    h = by_rates(0.128 * torch.exp(-(v - 17) / 18), 4 * torch.sigmoid((v - 40) / 5))
    n = by_rates(0.032 * 5 * linoid(-(v - 15) / 5), 0.5 * torch.exp(-(v - 10) / 40))
    return m, h, n


class TraubMiles(Cell):
    """A cell of fast sodium, potassium and leak alone, as in the benchmark of simulators of Brette
    et al. (J. Comput. Neurosci. 2007):

        C dV/dt = I / area - gNa m^3 h (V - 50) - gK n^4 (V + 90) - gL (V - EL)

    Args:
        cells, dt, learn, **given: as for `Cell`.
    """

    C = Learned(1.0, "capacitance, uF/cm2", low=0.0, inverse=True, learn=False)
    area = Learned(2e-4, "membrane area, cm2", low=0.0, inverse=True)
    gNa = Learned(100.0, "conductance of sodium, mS/cm2", low=0.0)
    gK = Learned(30.0, "conductance of potassium, mS/cm2", low=0.0)
    gL = Learned(0.05, "conductance of the leak, mS/cm2", low=0.0)
    EL = Learned(-65.0, "reversal potential of the leak, mV")
    VT = Learned(-63.0, "where spikes set in, mV")
    gates = ("m", "h", "n")
    start_at = -65.0

    def kinetics(self, V: Tensor) -> Sequence[Gate]:
        return traub_miles(V - self.VT)

    def currents(  # type: ignore[override]
        self, m: Tensor, h: Tensor, n: Tensor
    ) -> Sequence[Current]:
        n2 = n * n
        return (self.gNa * m * m * m * h, 50.0), (self.gK * n2 * n2, -90.0), (self.gL, self.EL)


class Pospischil(Cell):
    """A cell of five currents after Pospischil et al. (Biol. Cybern. 2008): sodium (gates m, h),
    potassium (n), slow potassium (p), a sag current (q) and the leak:

        C dV/dt = I / area - gNa m^3 h (V - 50) - (gK n^4 + gM p)(V + 90) - gh q (V + 45)
                  - gL (V - EL)

        p goes to sigmoid(.1 (V + 35)) in taumax / (3.3 exp(.05 (V + 35)) + exp(-.05 (V + 35)))
        a_q = .0765 linoid((V + 154.9) / 11.9)      b_q = .193 exp(V / 33.1)

    The defaults are those of a fast spiking cell.

    Args:
        cells, dt, learn, **given: as for `Cell`.
    """

    C = Learned(1.0, "capacitance, uF/cm2", low=0.0, inverse=True, learn=False)
    area = Learned(3.1e-5, "membrane area, cm2", low=0.0, inverse=True)
    gNa = Learned(65.0, "conductance of sodium, mS/cm2", low=0.0)
    gK = Learned(23.0, "conductance of potassium, mS/cm2", low=0.0)
    gM = Learned(0.04, "conductance of slow potassium, mS/cm2", low=0.0)
    gL = Learned(0.105, "conductance of the leak, mS/cm2", low=0.0)
    gh = Learned(0.02, "conductance of the sag current, mS/cm2", low=0.0)
    EL = Learned(-72.5, "reversal potential of the leak, mV")
    VT = Learned(-59.75, "where spikes set in, mV")
    taumax = Learned(500.0, "slowest time constant of slow potassium, ms", low=0.0)
    gates = ("m", "h", "n", "p", "q")

    def kinetics(self, V: Tensor) -> Sequence[Gate]:
        slope = torch.exp(0.05 * (V + 35))
        p = torch.sigmoid(0.1 * (V + 35)), self.taumax / (3.3 * slope + 1 / slope)
        q = by_rates(0.00643 * 11.9 * linoid((V + 154.9) / 11.9), 0.193 * torch.exp(V / 33.1))
        return (*traub_miles(V - self.VT), p, q)

    def currents(  # type: ignore[override]
        self, m: Tensor, h: Tensor, n: Tensor, p: Tensor, q: Tensor
    ) -> Sequence[Current]:
        n2 = n * n
        return (
            (self.gNa * m * m * m * h, 50.0),
            (self.gK * n2 * n2 + self.gM * p, -90.0),
            (self.gh * q, -45.0),
            (self.gL, self.EL),
        )

    @classmethod
    def family(cls, models: int = 60, held_out: int = 10, seed: int = 0) -> PospischilFamily:
        """Models of this cell, drawn from `PospischilFamily.ranges`."""
        return PospischilFamily(models, held_out, seed)


class PospischilFamily(CellFamily):
    """Fast spiking cells that differ in nine quantities. They begin to fire at .03 to .07 nA.

    Args:
        models: how many models.
        held_out: how many of them are for tests alone.
        seed: of the draw.
        simulator: "kernel" for all traces at once, or "neuron" for one at a time.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "area": (2.8e-5, 3.4e-5),
        "gNa": (55.0, 75.0),
        "gK": (18.0, 28.0),
        "gM": (0.02, 0.06),
        "gL": (0.09, 0.12),
        "gh": (0.01, 0.03),
        "EL": (-74.0, -71.0),
        "VT": (-61.0, -58.5),
        "taumax": (300.0, 700.0),
    }

    def __init__(
        self,
        models: int = 60,
        held_out: int = 10,
        seed: int = 0,
        simulator: Literal["kernel", "neuron"] = "kernel",
    ) -> None:
        super().__init__(Pospischil, self.ranges, models, held_out, seed, simulator)
