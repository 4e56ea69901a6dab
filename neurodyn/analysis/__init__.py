"""A look inside: maps, fixed points, activity, energy. Pictures are in `analysis.pictures`."""

from neurodyn.analysis.dynamics import FixedPoint, families, family, fixed_points, membrane_map
from neurodyn.analysis.energy import Activity, ActivityMeter, operations

__all__ = [
    "Activity",
    "ActivityMeter",
    "FixedPoint",
    "families",
    "family",
    "fixed_points",
    "membrane_map",
    "operations",
]
