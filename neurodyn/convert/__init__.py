"""Conversions between networks that compute the same in different ways."""

from neurodyn.convert.events import Events, Kernel, LIFKernel, NLIFKernel, ReLUKernel, Trains
from neurodyn.convert.spikes import Comparison, compare, multi_spike, single_spike

__all__ = [
    "Comparison",
    "Events",
    "Kernel",
    "LIFKernel",
    "NLIFKernel",
    "ReLUKernel",
    "Trains",
    "compare",
    "multi_spike",
    "single_spike",
]
