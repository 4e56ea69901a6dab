"""Networks of spiking neurons in continuous time: exact spike times and exact gradients."""

from neurodyn.convert.events.kernels import Kernel, LIFKernel, NLIFKernel, ReLUKernel
from neurodyn.convert.events.network import Events
from neurodyn.convert.events.trains import Trains

__all__ = ["Events", "Kernel", "LIFKernel", "NLIFKernel", "ReLUKernel", "Trains"]
