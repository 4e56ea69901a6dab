"""Recordings of cells under current clamp, from the formats of the field."""

from neurodyn.biophysics.recordings.recording import Recording

__all__ = ["Recording"]
