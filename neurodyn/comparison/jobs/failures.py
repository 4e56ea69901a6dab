"""Runs that failed in processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Failure(NamedTuple):
    """A run that failed."""

    label: str
    error: str
    log: Path
    """What its process printed."""


def told(failures: Sequence[Failure]) -> str:
    """A line for each error, with the runs that had it and the output of the first."""
    by_error: dict[str, list[Failure]] = {}
    for failure in failures:
        by_error.setdefault(failure.error, []).append(failure)
    return "\n".join(
        f"{', '.join(run.label for run in runs)}: {error} ({runs[0].log})"
        for error, runs in by_error.items()
    )
