"""Neurons: one file per family; each neuron is a step and its learned parameters."""

from neurodyn.neurons.adaptive import ALIF, AdLIF
from neurodyn.neurons.base import Neuron
from neurodyn.neurons.basis import Rational, Spline, TanhNet
from neurodyn.neurons.collect import dynamics_parameters, neurons_of, set_horizon
from neurodyn.neurons.complementary import CLIF
from neurodyn.neurons.exponential import EIF
from neurodyn.neurons.fixed_point import round_dynamics
from neurodyn.neurons.gated_leak import GLIF
from neurodyn.neurons.izhikevich import Izhikevich
from neurodyn.neurons.layer import NeuronFactory, SpikingLayer, Stateful
from neurodyn.neurons.lif import IF, KLIF, LIF, PLIF, DecayLIF
from neurodyn.neurons.lnm import LNM
from neurodyn.neurons.modal import Modal, Planar
from neurodyn.neurons.qif import QIF
from neurodyn.neurons.reset import HardReset, NoReset, Reset, SmoothReset, SoftReset
from neurodyn.neurons.resonate import BRF
from neurodyn.neurons.timescale import CubaLIF, MultiTimescale, grade_timescales

__all__ = [
    "ALIF",
    "BRF",
    "CLIF",
    "EIF",
    "GLIF",
    "IF",
    "KLIF",
    "LIF",
    "LNM",
    "PLIF",
    "QIF",
    "AdLIF",
    "CubaLIF",
    "DecayLIF",
    "HardReset",
    "Izhikevich",
    "Modal",
    "MultiTimescale",
    "Neuron",
    "NeuronFactory",
    "NoReset",
    "Planar",
    "Rational",
    "Reset",
    "SmoothReset",
    "SoftReset",
    "SpikingLayer",
    "Spline",
    "Stateful",
    "TanhNet",
    "dynamics_parameters",
    "grade_timescales",
    "neurons_of",
    "round_dynamics",
    "set_horizon",
]
