"""Biophysical neurons as steps, simulated and differentiated by the kernels of all neurons."""

from neurodyn.biophysics.adex import AdEx
from neurodyn.biophysics.cell import Cell
from neurodyn.biophysics.compartment import Compartment
from neurodyn.biophysics.cortical import Pospischil, TraubMiles
from neurodyn.biophysics.gif import GIF
from neurodyn.biophysics.simulate import simulate, spike_times
from neurodyn.biophysics.squid import HodgkinHuxley

__all__ = [
    "GIF",
    "AdEx",
    "Cell",
    "Compartment",
    "HodgkinHuxley",
    "Pospischil",
    "TraubMiles",
    "simulate",
    "spike_times",
]
