"""The gated cells that tests run, and what makes them fire."""

import functools

import pytest
import torch

from neurodyn.layers import CSGRU, RecurrentCubaLIF, SpikGRU, SpikGRU2

SpikGRU2Plus = functools.partial(SpikGRU2, signed=True)
CELLS = (RecurrentCubaLIF, SpikGRU, SpikGRU2, SpikGRU2Plus, CSGRU)
every_cell = pytest.mark.parametrize(
    "cell", CELLS, ids=("cuba-lif", "spikgru", "spikgru2", "spikgru2+", "cs-gru")
)
INPUTS, HIDDEN, T, B = 3, 4, 6, 2


def lively(cell):
    """A cell whose neurons fire often, in float64, and an input for it."""
    cell = cell(INPUTS, HIDDEN, threshold=0.3, learn_threshold=True).double()
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if name not in ("threshold", "raw_alpha", "raw_beta"):
                parameter.uniform_(-1.5, 1.5)
            elif name != "threshold":
                parameter.uniform_(0.3, 0.95)
    return cell, torch.randn(T, B, INPUTS, dtype=torch.float64)
