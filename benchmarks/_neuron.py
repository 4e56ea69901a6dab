"""NEURON: the same cell as a mechanism, one trace at a time."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

MECHANISM = Path(__file__).parent / "mechanisms" / "pospischil.mod"


def installed() -> bool:
    return importlib.util.find_spec("neuron") is not None


def load() -> Any:
    """NEURON with the compiled mechanism."""
    beside = Path(sys.executable).with_name("nrnivmodl")
    compiler = shutil.which("nrnivmodl") or (str(beside) if beside.exists() else None)
    if compiler is None:
        sys.exit("nrnivmodl: expected NEURON's compiler of mechanisms on the path, found none")
    folder = Path(tempfile.mkdtemp(prefix="neurodyn-neuron-"))
    shutil.copy(MECHANISM, folder)
    subprocess.run([sys.executable, compiler, "."], cwd=folder, check=True, capture_output=True)
    from neuron import h

    h.nrn_load_dll(str(next(folder.rglob("libnrnmech.so"))))
    h.load_file("stdrun.hoc")
    return h


def run(h: Any, amplitude: float, dt: float, start: float, stop: float, end: float) -> Any:
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
    started = time.perf_counter()
    h.continuerun(end)
    return np.array(V), time.perf_counter() - started
