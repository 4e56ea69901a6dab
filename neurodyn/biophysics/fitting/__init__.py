"""Neurons of the library fitted to recorded cells, and carried into networks."""

from neurodyn.biophysics.fitting.fit import fit
from neurodyn.biophysics.fitting.fitted import Fitted
from neurodyn.biophysics.fitting.layer import RecordedNeuron

__all__ = ["Fitted", "RecordedNeuron", "fit"]
