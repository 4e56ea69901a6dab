"""Biophysical neurons as steps, simulated and differentiated by the kernels of all neurons."""

from neurodyn.biophysics.cell import Cell
from neurodyn.biophysics.cortical import Pospischil, PospischilFamily, TraubMiles
from neurodyn.biophysics.simulate import simulate, spike_times
from neurodyn.biophysics.squid import HodgkinHuxley

__all__ = [
    "Cell",
    "HodgkinHuxley",
    "Pospischil",
    "PospischilFamily",
    "TraubMiles",
    "simulate",
    "spike_times",
]
