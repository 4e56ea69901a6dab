"""Biophysical neurons as steps, simulated and differentiated by the kernels of all neurons."""

from neurodyn.biophysics.adex import AdEx
from neurodyn.biophysics.cell import Cell
from neurodyn.biophysics.compartment import Compartment
from neurodyn.biophysics.cortical import Pospischil, PospischilFamily, TraubMiles
from neurodyn.biophysics.fitting import Fitted, RecordedNeuron, fit
from neurodyn.biophysics.gif import GIF
from neurodyn.biophysics.recordings import Recording
from neurodyn.biophysics.simulate import simulate, spike_times
from neurodyn.biophysics.squid import HodgkinHuxley

__all__ = [
    "GIF",
    "AdEx",
    "Cell",
    "Compartment",
    "Fitted",
    "HodgkinHuxley",
    "Pospischil",
    "PospischilFamily",
    "RecordedNeuron",
    "Recording",
    "TraubMiles",
    "fit",
    "simulate",
    "spike_times",
]
