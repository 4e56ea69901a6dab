"""Simulating cells: many at once, for as long as they take."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.biophysics.compartment import Compartment
from neurodyn.errors import check

CHUNK = 4096
"""Steps that are simulated together, before what is not kept is dropped."""


def simulate(
    cell: Compartment,
    current: Tensor,
    dt: float | None = None,
    *,
    warm_up: float = 200.0,
    every: int = 1,
) -> Tensor:
    """The membrane potential [mV] of cells with injected currents.

    Args:
        cell: of one kind, or of `cells` kinds side by side.
        current: [nA], (T, traces), or (T, traces, cells) for a cell with `cells`.
        dt: time step of the current and the simulation [ms]; the cell's own unless given.
        warm_up: how long the cell rests without current before that [ms].
        every: keep each `every`-th step: the potential at `every dt`, `2 every dt`, ...

    Returns:
        (T // every, traces[, cells]). Gradients with respect to the cell's quantities and the
        current go through the whole simulation, the warm-up too.

    Raises:
        ValueError: a current of another shape, or not finite.
    """
    check("warm_up", warm_up, 0.0)
    check("every", every, 1)
    if dt is not None:
        check("dt", dt, 1e-9)
        cell = copy.copy(cell)
        cell.dt = float(dt)
    if not bool(torch.isfinite(current).all()):
        raise ValueError("current: expected finite numbers [nA], got NaN or infinity")
    state: Any = None
    resting = round(warm_up / cell.dt)
    if resting:
        _, state = cell(current.new_zeros(resting, *_alone(current)), return_state=True)
        state = tuple(value.expand(current.shape[1:]) for value in state)
    kept, steps = [], max(1, CHUNK // every) * every
    for start in range(0, len(current), steps):
        V, state = cell(current[start : start + steps], state, return_state=True)
        kept.append(V[every - 1 :: every])
    return torch.cat(kept)


def _alone(current: Tensor) -> tuple[int, ...]:
    """The shape of a step for one trace: all are alike as long as there is no current."""
    return (1, *current.shape[2:])


def spike_times(V: Tensor, dt: float, threshold: float = -20.0) -> list[Any]:
    """When each trace crosses a threshold upwards [ms], between steps by interpolation.

    Args:
        V: potentials [mV], (T, traces), the first at `dt`.
        dt: time step [ms].
        threshold: [mV].

    Returns:
        a NumPy array of times for each trace.
    """
    if V.ndim != 2:
        raise ValueError(f"V: expected (T, traces), got {tuple(V.shape)}")
    values = V.detach().double().numpy()
    before, after = values[:-1], values[1:]
    found = []
    for k in range(values.shape[1]):
        at = np.nonzero((before[:, k] < threshold) & (after[:, k] >= threshold))[0]
        share = (threshold - before[at, k]) / (after[at, k] - before[at, k])
        found.append((at + 1 + share) * dt)
    return found
