"""The generalised integrate-and-fire cell, with a threshold that moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurodyn.biophysics.compartment import Compartment
from neurodyn.learned import Learned


class GIF(Compartment):
    """Generalised integrate and fire (Pozzorini et al., PLOS Comput. Biol. 2015):

        C dV/dt = I - gL (V - EL) - sum_k w_k
        tau_eta[k] dw_k/dt = -w_k               a spike adds eta[k] to each w_k
        tau_gamma[k] dv_k/dt = -v_k             a spike adds gamma[k] to each v_k

    A spike is where `V` reaches `VT + sum_k v_k`. The potential shows `Vpeak` there, and then stays
    at `Vreset` for `refractory` ms. The paper's cell fires at random near the threshold; this one
    fires at it (`neurodyn.biophysics.fit` fits the random one). As there, the kernels are sums of
    exponentials, but here they start at the spike and not after the refractory time.

    A step of `dt` is exponential Euler, exact for a current that is constant during the step except
    for the decay of `w`.

    Args:
        cells, dt, learn, **given: as for `Compartment`; `eta` and `tau_eta` are lists of one
            length, and so are `gamma` and `tau_gamma`.
    """

    C = Learned(0.1, "capacitance, nF", low=0.0, inverse=True)
    gL = Learned(0.005, "conductance of the leak, uS", low=0.0)
    EL = Learned(-65.0, "reversal potential of the leak, mV")
    VT = Learned(-45.0, "threshold without spikes, mV")
    Vreset = Learned(-55.0, "potential after a spike, mV")
    Vpeak = Learned(20.0, "potential shown at a spike, mV", learn=False)
    refractory = Learned(4.0, "how long the potential then stays, ms", low=0.0, learn=False)
    eta: Any = Learned([0.1, 0.01], "currents that a spike sets off, nA", vector=True)
    tau_eta: Any = Learned(
        [8.0, 90.0], "their time constants, ms", vector=True, low=0.0, inverse=True
    )
    gamma: Any = Learned([5.0, 1.0], "what a spike adds to the threshold, mV", vector=True)
    tau_gamma: Any = Learned(
        [10.0, 150.0], "their time constants, ms", vector=True, low=0.0, inverse=True
    )

    def __init__(self, cells: int | None = None, **options: Any) -> None:
        super().__init__(cells, **options)
        for jump, tau in (("eta", "tau_eta"), ("gamma", "tau_gamma")):
            sizes = len(getattr(self, jump)), len(getattr(self, tau))
            if sizes[0] != sizes[1]:
                raise ValueError(f"{tau}: expected as many as {jump}, {sizes[0]}, got {sizes[1]}")

    @property
    def states(self) -> tuple[str, ...]:
        currents = (f"w{k}" for k in range(len(self.eta)))
        return "V", "held", *currents, *(f"v{k}" for k in range(len(self.gamma)))

    def resting(self) -> Tensor:
        return self.EL

    def at_rest(self, V: Tensor) -> tuple[Tensor, ...]:
        return (torch.zeros_like(V),) * (len(self.states) - 1)

    def step(  # type: ignore[override]
        self, current: Tensor, V: Tensor, held: Tensor, *kernels: Tensor
    ) -> tuple[Tensor, ...]:
        """`held` is how long the potential stays at the reset from here [ms]."""
        currents, thresholds = kernels[: len(self.eta)], kernels[len(self.eta) :]
        goal = self.EL + (current - sum(currents)) / self.gL
        V = goal + (V - goal) * torch.exp(-self.dt / self.C * self.gL)
        # Half a step: `held` is a sum of steps, rounded.
        V = torch.where(held > self.dt / 2, self.Vreset, V)
        w = self._decayed(currents, self.tau_eta)
        v = self._decayed(thresholds, self.tau_gamma)
        fired = (V - self.VT - sum(v) >= 0) & (held <= self.dt / 2)
        w = [torch.where(fired, x + jump, x) for x, jump in zip(w, self.eta, strict=True)]
        v = [torch.where(fired, x + jump, x) for x, jump in zip(v, self.gamma, strict=True)]
        held = torch.where(fired, self.refractory, (held - self.dt).clamp(min=0))
        shown = torch.where(fired, self.Vpeak, V)
        return shown, torch.where(fired, self.Vreset, V), held, *w, *v

    def _decayed(self, values: Sequence[Tensor], tau: Sequence[Tensor]) -> list[Tensor]:
        pairs = zip(values, tau, strict=True)
        return [value * torch.exp(-self.dt / each) for value, each in pairs]
