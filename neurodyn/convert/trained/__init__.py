"""Trained networks over timesteps, as networks whose neurons fire once."""

from neurodyn.convert.trained.agreement import Report, compare_unfolded
from neurodyn.convert.trained.finer import compare_steps, steps_table
from neurodyn.convert.trained.unfold import Twin, measured_bound, unfold

__all__ = [
    "Report",
    "Twin",
    "compare_steps",
    "compare_unfolded",
    "measured_bound",
    "steps_table",
    "unfold",
]
