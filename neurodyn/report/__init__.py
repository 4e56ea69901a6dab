"""The page of a run folder: one HTML file that needs nothing else."""

from neurodyn.report.page import PAGE, write_page

__all__ = ["PAGE", "write_page"]
