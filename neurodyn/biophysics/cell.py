"""A biophysical neuron as a step: conductances with gates, one compartment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from neurodyn.biophysics.compartment import Compartment

Gate = tuple[Tensor, Tensor]
"""Where a gate goes, and its time constant [ms]."""
Current = tuple[Tensor, Tensor | float]
"""A conductance [mS/cm2] and its reversal potential [mV]."""


class Cell(Compartment):
    """Base of cells with conductances and one compartment. The membrane potential `V` [mV] follows

        C dV/dt = I / area - sum_k g_k (V - E_k)

    with capacitance `C` [uF/cm2], injected current `I` [nA], `area` [cm2], conductances `g_k`
    [mS/cm2] that gates open, and reversal potentials `E_k` [mV]. Time is in milliseconds.

    A step of `dt` is exponential Euler: the gates move to where they go at this potential, then the
    potential to where it goes with these gates, both exactly as if the rest stood still. It is
    elementwise, so `scan` compiles it, for one cell as for thousands.

    A subclass names its gates in `gates`, and says where they go and how fast in `kinetics`, and
    what they open in `currents`.

    Args:
        cells, dt, learn, **given: as for `Compartment`.
    """

    gates: ClassVar[tuple[str, ...]] = ()
    C: Any
    """Capacitance [uF/cm2]."""
    area: Any
    """Membrane area [cm2]."""

    @property
    def states(self) -> tuple[str, ...]:
        return ("V", *self.gates)

    def kinetics(self, V: Tensor) -> Sequence[Gate]:
        """Where each gate goes at a potential, and its time constant [ms], in the order of
        `gates`."""
        raise NotImplementedError(f"{type(self).__name__} does not define its kinetics")

    def currents(self, *gates: Tensor) -> Sequence[Current]:
        """The conductances with these gates, and their reversal potentials."""
        raise NotImplementedError(f"{type(self).__name__} does not define its currents")

    def step(self, current: Tensor, V: Tensor, *gates: Tensor) -> tuple[Tensor, ...]:
        """`(current [nA], V [mV], gates) -> (V, V, gates)`, a time step later."""
        moved = tuple(
            goal + (gate - goal) * torch.exp(-self.dt / tau)
            for gate, (goal, tau) in zip(gates, self.kinetics(V), strict=True)
        )
        total: Any = 0.0
        drive = current / self.area * 1e-3  # 1 nA/cm2 is 1e-3 uA/cm2.
        for conductance, reversal in self.currents(*moved):
            total = total + conductance
            drive = drive + conductance * reversal
        goal = drive / total
        after = goal + (V - goal) * torch.exp(-self.dt / self.C * total)
        return after, after, *moved

    def at_rest(self, V: Tensor) -> tuple[Tensor, ...]:
        return tuple(goal for goal, _ in self.kinetics(V))


def linoid(x: Tensor) -> Tensor:
    """`x / (exp(x) - 1)`, 1 at 0: how rates of gates grow."""
    small = x.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 - x / 2, safe / torch.expm1(safe))


def by_rates(opening: Tensor, closing: Tensor) -> Gate:
    """A gate by its rates [1/ms]."""
    tau = 1 / (opening + closing)
    return opening * tau, tau
