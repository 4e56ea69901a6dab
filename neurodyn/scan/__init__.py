"""Run a step over time.

A *cell* is an `nn.Module` with a `step(*inputs, *states) -> (*outputs, *new_states)`: a pure,
elementwise function of this step's inputs, of the states and of the cell's parameters and buffers.
`scan` runs it along the first dimension of its inputs.
"""

from neurodyn.files import cache_dir
from neurodyn.scan.api import BACKENDS, Cell, check_parallel, kernel_source, scan, why_not
from neurodyn.step.graph import UnsupportedStepError

__all__ = [
    "BACKENDS",
    "Cell",
    "UnsupportedStepError",
    "cache_dir",
    "check_parallel",
    "kernel_source",
    "scan",
    "why_not",
]
