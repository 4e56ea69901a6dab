"""A look inside: maps, fixed points, modes, activity, energy. Pictures are in modules of their own:
`pictures`, `spectrum`, `phase`, `impulse`, `raster`, `scores` and `confusion`."""

from neurodyn.analysis.activity import Activity
from neurodyn.analysis.dynamics import FixedPoint, families, family, fixed_points, membrane_map
from neurodyn.analysis.energy import ActivityMeter
from neurodyn.analysis.modes import eigenvalues, impulse_response, period, time_constant
from neurodyn.analysis.updates import operations

__all__ = [
    "Activity",
    "ActivityMeter",
    "FixedPoint",
    "eigenvalues",
    "families",
    "family",
    "fixed_points",
    "impulse_response",
    "membrane_map",
    "operations",
    "period",
    "time_constant",
]
