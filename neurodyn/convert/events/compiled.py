"""Numba, which compiles the scalar loops of the event-driven simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from neurodyn.errors import require

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function, compiled at its first call and kept on disk; other threads go on beside it."""
    made: F = require("numba", "spikes").njit(cache=True, nogil=True)(function)
    return made
