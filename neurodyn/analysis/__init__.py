"""A look inside: maps, fixed points, activity, energy. Pictures are in `analysis.pictures`."""

from neurodyn.analysis.activity import Activity
from neurodyn.analysis.dynamics import FixedPoint, families, family, fixed_points, membrane_map
from neurodyn.analysis.energy import ActivityMeter
from neurodyn.analysis.updates import operations

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
