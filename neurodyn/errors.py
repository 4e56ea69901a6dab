"""Errors that teach: one clear line that names the argument, what came and what was expected."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


def unknown(kind: str, name: object, options: Iterable[str]) -> ValueError:
    """The error for a name that is not among the options; suggests the nearest one."""
    options = sorted(options)
    near = difflib.get_close_matches(str(name), options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(f"{kind}: unknown name {name!r}.{hint} Known: {', '.join(options)}.")


def check(name: str, value: float, low: float, high: float | None = None) -> None:
    """Raise an error for an argument outside its range."""
    if not value >= low or (high is not None and value > high):
        expected = f"at least {low}" if high is None else f"a number from {low} to {high}"
        raise ValueError(f"{name}: expected {expected}, got {value}")


def not_over_time(step: Iterable[object], got: Iterable[int], why: str = "") -> ValueError:
    """The error for something that is not a sequence `(T, B, *step)`."""
    sizes = ", ".join(map(str, ("T", "B", *step)))
    return ValueError(
        f"x: expected ({sizes}){why}, got {tuple(got)}. Time comes first: "
        "neurodyn.layers.repeat(x, T) shows a batch (B, ...) at every step, x.transpose(0, 1) "
        "turns (B, T, ...)"
    )


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is needed here and could not be imported ({error}). "
            f"Install it with: pip install 'neurodyn[{extra}]'"
        ) from error
