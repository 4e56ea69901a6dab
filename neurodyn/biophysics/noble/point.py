"""A cell of one compartment in NEURON, one trace at a time."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from neurodyn.biophysics.cell import Cell
from neurodyn.biophysics.nrn import neuron
from neurodyn.errors import check

MECHANISMS = Path(__file__).parents[1] / "mechanisms"
SCALED = ("gNa", "gK", "gM", "gL", "gh")
"""Conductances: mS/cm2 in a cell, S/cm2 in a mechanism."""
PLAIN = ("EL", "VT", "taumax")


def run_point(cell: Cell, current: Tensor, every: int = 1, warm_up: float = 200.0) -> Tensor:
    """The potentials [mV] of cells by NEURON, each with its own current: `(T // every, cells)`.

    NEURON's step is implicit Euler, one of the first order.

    Args:
        cell: of `cells` cells, whose class has a mechanism of its name in `mechanisms`.
        current: [nA], `(T, cells)`, each entry for a step of `cell.dt`.
        every: keep each `every`-th step.
        warm_up: rest before that [ms].

    Raises:
        ValueError: the cell has no mechanism.
    """
    name = type(cell).__name__.lower()
    mechanism = MECHANISMS / f"{name}.mod"
    if not mechanism.is_file():
        raise ValueError(f"simulator: {type(cell).__name__} has no mechanism for NEURON")
    check("every", every, 1)
    h = neuron([mechanism])
    section = h.Section()
    section.insert(name)
    clamp = h.IClamp(section(0.5))
    clamp.delay, clamp.dur = 0, 1e9
    V = h.Vector().record(section(0.5)._ref_v)
    resting = round(warm_up / cell.dt)
    found = []
    for k in range(current.shape[1]):
        section.L = section.diam = 1e4 * math.sqrt(_value(cell.area, k) / math.pi)  # um
        section.cm = _value(cell.C, k)
        for quantity in SCALED:
            setattr(section, f"{quantity}_{name}", 1e-3 * _value(getattr(cell, quantity), k))
        for quantity in PLAIN:
            setattr(section, f"{quantity}_{name}", _value(getattr(cell, quantity), k))
        played = h.Vector([0.0] * resting + current[:, k].tolist())
        played.play(clamp._ref_amp, cell.dt)
        h.dt, h.steps_per_ms = cell.dt, 1 / cell.dt
        h.finitialize(cell.start_at)
        h.continuerun((resting + len(current)) * cell.dt)
        played.play_remove()
        found.append(torch.from_numpy(V.as_numpy().copy())[resting + every :: every])
    return torch.stack(found, 1).float()


def _value(quantity: Tensor, k: int) -> float:
    return quantity.expand(max(len(quantity), k + 1))[k].item()
