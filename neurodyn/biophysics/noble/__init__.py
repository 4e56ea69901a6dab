"""NOBLE: neural operators that replace the simulator of a family of biophysical neurons.

What trains needs the extra `noble`, and is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from neurodyn.biophysics.noble.family import CellFamily, Family
from neurodyn.biophysics.noble.stimulus import Steps
from neurodyn.biophysics.noble.traces import Traces

LATER = {
    "FamilyData": "data",
    "Noble": "training",
    "Surrogate": "surrogate",
    "load": "loading",
    "load_run": "loading",
}
"""Names that need more packages, and their modules."""

__all__ = ["CellFamily", "Family", "Steps", "Traces", *LATER]


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{LATER[name]}"), name)
