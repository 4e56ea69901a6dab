"""Neurons: one file a family, each a step and its learnable parameters."""

from neurodyn.neurons.adaptive import ALIF, AdLIF
from neurodyn.neurons.base import Neuron, dynamics_parameters, neurons_of
from neurodyn.neurons.layer import NeuronFactory, SpikingLayer, Stateful
from neurodyn.neurons.lif import IF, LIF, PLIF, DecayLIF
from neurodyn.neurons.lnm import LNM
from neurodyn.neurons.qif import QIF
from neurodyn.neurons.reset import HardReset, NoReset, Reset, SoftReset
from neurodyn.neurons.timescale import CubaLIF, MultiTimescale

__all__ = [
    "ALIF",
    "IF",
    "LIF",
    "LNM",
    "PLIF",
    "QIF",
    "AdLIF",
    "CubaLIF",
    "DecayLIF",
    "HardReset",
    "MultiTimescale",
    "Neuron",
    "NeuronFactory",
    "NoReset",
    "Reset",
    "SoftReset",
    "SpikingLayer",
    "Stateful",
    "dynamics_parameters",
    "neurons_of",
]
