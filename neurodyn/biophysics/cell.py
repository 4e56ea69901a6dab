"""A biophysical neuron as a step: conductances with gates, one compartment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from neurodyn.declared import Declared, Learn
from neurodyn.errors import check, unknown
from neurodyn.scan import scan

Gate = tuple[Tensor, Tensor]
"""Where a gate goes, and its time constant [ms]."""
Current = tuple[Tensor, Tensor | float]
"""A conductance [mS/cm2] and its reversal potential [mV]."""


class Cell(Declared):
    """Base of cells with one compartment. The membrane potential `V` [mV] follows

        C dV/dt = I / area - sum_k g_k (V - E_k)

    with capacitance `C` [uF/cm2], injected current `I` [nA], `area` [cm2], conductances `g_k`
    [mS/cm2] that gates open, and reversal potentials `E_k` [mV]. Time is in milliseconds.

    A step of `dt` is exponential Euler: the gates move to where they go at this potential, then the
    potential to where it goes with these gates, both exactly as if the rest stood still. It is
    elementwise, so `scan` compiles it, for one cell as for thousands.

    A subclass names its gates in `gates`, and says where they go and how fast in `kinetics`, and
    what they open in `currents`.

    Args:
        cells: how many different cells; the last dimension of currents. None: all are the same.
        dt: time step [ms].
        learn: which quantities gradients are wanted for: all, none, or those with these names.
        **given: quantities by name: numbers, one per cell, or a pair to draw them from.
    """

    gates: ClassVar[tuple[str, ...]] = ()
    start_at: ClassVar[float] = -70.0
    """The potential that simulations start from, gates at rest [mV]."""

    C: Any
    """Capacitance [uF/cm2]."""
    area: Any
    """Membrane area [cm2]."""

    def __init__(
        self, cells: int | None = None, *, dt: float = 0.025, learn: Learn = True, **given: Any
    ) -> None:
        super().__init__()
        check("dt", dt, 1e-9)
        self.dt, self.cells = float(dt), cells
        if cells is not None:
            check("cells", cells, 1)
            self._granularity = (cells,)
        if learn is not True:
            self._learn = (learn,) if isinstance(learn, str) else learn
        for name in given:
            if name not in self.declared:
                raise unknown(type(self).__name__, name, self.declared)
        for name in self.declared:
            self.start(name, given.get(name))

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states."""
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

    def initial_state(self) -> tuple[Tensor, ...]:
        """`V` at `start_at` and every gate where it goes there."""
        some = next(self.buffers(), None)
        some = next(self.parameters()) if some is None else some
        V = torch.full_like(some, self.start_at)
        return (V, *(goal.expand_as(V) for goal, _ in self.kinetics(V)))

    def forward(
        self,
        current: Tensor,
        state: tuple[Tensor, ...] | None = None,
        *,
        return_state: bool = False,
    ) -> Any:
        """The potential [mV] after each step.

        Args:
            current: [nA], (T, traces) or (T, traces, cells).
            state: where to go on from; `initial_state` unless given.
            return_state: return the state after the last step too.
        """
        if current.ndim < 2 or current.shape[0] == 0:
            raise ValueError(
                f"current: expected (T, traces) or (T, traces, cells), got {tuple(current.shape)}"
            )
        if self.cells is not None and current.shape[-1] != self.cells:
            raise ValueError(
                f"current: expected {self.cells} cells in the last dimension, "
                f"got {tuple(current.shape)}"
            )
        start = self.initial_state() if state is None else state
        (V,), final, _ = scan(self, [current], start, final=return_state)
        return (V, final) if return_state else V


def linoid(x: Tensor) -> Tensor:
    """`x / (exp(x) - 1)`, 1 at 0: how rates of gates grow."""
    small = x.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 - x / 2, safe / torch.expm1(safe))


def by_rates(opening: Tensor, closing: Tensor) -> Gate:
    """A gate by its rates [1/ms]."""
    tau = 1 / (opening + closing)
    return opening * tau, tau
