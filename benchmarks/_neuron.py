"""NEURON: the same cell as a mechanism, one trace at a time."""

from __future__ import annotations

import importlib.util
import time
from typing import Any

import numpy as np

from benchmarks._measure import Now
from neurodyn.biophysics.noble.point import MECHANISMS
from neurodyn.biophysics.nrn import neuron


def installed() -> bool:
    return importlib.util.find_spec("neuron") is not None


def load() -> Any:
    """NEURON with the mechanism of the cell."""
    return neuron([MECHANISMS / "pospischil.mod"])


def run(
    h: Any,
    amplitude: float,
    dt: float,
    start: float,
    stop: float,
    end: float,
    clock: Now = time.perf_counter,
) -> Any:
    """The potential [mV] at 0, dt, 2 dt, ..., and the seconds that the simulation took."""
    section = h.Section()
    section.L = section.diam = 1e4 * np.sqrt(3.1e-5 / np.pi)  # um, for an area of 3.1e-5 cm2
    section.cm = 1
    section.insert("pospischil")
    clamp = h.IClamp(section(0.5))
    clamp.delay, clamp.dur, clamp.amp = start, stop - start, amplitude
    V = h.Vector().record(section(0.5)._ref_v)
    h.dt, h.steps_per_ms = dt, 1 / dt
    h.finitialize(-70)
    started = clock()
    h.continuerun(end)
    return np.array(V), clock() - started
