"""Converters between networks whose neurons fire once, and networks whose neurons fire often."""

from neurodyn.convert.agreement import Report, compare_unfolded
from neurodyn.convert.copies import Copies
from neurodyn.convert.finer import compare_steps, steps_table
from neurodyn.convert.unfold import Twin, measured_bound, unfold

__all__ = [
    "Copies",
    "Report",
    "Twin",
    "compare_steps",
    "compare_unfolded",
    "measured_bound",
    "steps_table",
    "unfold",
]
