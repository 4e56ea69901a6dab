"""Run a step over time.

A *cell* is an `nn.Module` with a `step(*inputs, *states) -> (*outputs, *new_states)`: a pure,
elementwise function of this step's inputs, of the states and of the cell's parameters and buffers.
`scan` runs it along the first dimension of its inputs.
"""

from neurodyn.scan.api import Cell, scan

__all__ = ["Cell", "scan"]
