"""What all cells with one compartment share: how they are made, where they start, how they run."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from neurodyn.declared import Declared, Learn
from neurodyn.errors import check, unknown
from neurodyn.scan import scan


class Compartment(Declared):
    """Base of cells with one compartment. A subclass says in `step` what a time step does to the
    membrane potential `V` [mV] and its other states, and in `at_rest` where those start. `scan`
    compiles the step, for one cell as for thousands.

    Args:
        cells: how many different cells; the last dimension of currents. None: all are the same.
        dt: time step [ms].
        learn: which quantities gradients are wanted for: all, none, or those with these names.
        **given: quantities by name: numbers, one per cell, or a pair to draw them from.
    """

    start_at: ClassVar[float] = -70.0
    """The potential that simulations start from [mV]."""

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
        """Names of the states, the potential first."""
        raise NotImplementedError(f"{type(self).__name__} does not define its states")

    def step(self, current: Tensor, V: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """`(current [nA], V [mV], others) -> (potential [mV], V, others)`, a time step later."""
        raise NotImplementedError(f"{type(self).__name__} does not define its step")

    def at_rest(self, V: Tensor) -> tuple[Tensor, ...]:
        """The states other than the potential, after a long time at this one."""
        raise NotImplementedError(f"{type(self).__name__} does not define its at_rest")

    def resting(self) -> Tensor:
        """The potential that simulations start from."""
        some = next(self.buffers(), None)
        some = next(self.parameters()) if some is None else some
        return torch.full_like(some, self.start_at)

    def initial_state(self) -> tuple[Tensor, ...]:
        """The resting potential, and the other states at rest there."""
        V = self.resting()
        return (V, *(value.expand_as(V) for value in self.at_rest(V)))

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
