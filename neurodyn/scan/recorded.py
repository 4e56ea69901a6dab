"""A cell whose states are outputs too, so that a kernel writes them over time."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Recorded(nn.Module):
    """What `scan` runs to record states: `step` gives outputs, states as outputs, and states.

    Args:
        cell: the cell.
        n_states: how many states it has.
    """

    def __init__(self, cell: Any, n_states: int) -> None:
        super().__init__()
        self.cell, self.n_states = cell, n_states

    def step(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """One timestep: `(*inputs, *states) -> (*outputs, *new_states, *new_states)`."""
        results = self.cell.step(*arguments)
        if not isinstance(results, tuple):  # An error, which is raised where steps are run.
            return results  # type: ignore[no-any-return]
        return (*results, *results[len(results) - self.n_states :])
