"""Neurons and gated cells by their names on the command line."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any

from neurodyn import layers, neurons
from neurodyn.errors import unknown
from neurodyn.layers import GatedCell
from neurodyn.neurons import Neuron, SpikingLayer
from neurodyn.training.allowed import check_named, named

Kind = type[SpikingLayer | GatedCell]
BASES = (SpikingLayer, Neuron, GatedCell)


def neuron_names() -> dict[str, Kind]:
    """Every neuron, every layer around one and every gated cell.

    Those of this package go by their lower-case name. Those of modules that the user named go by
    their import path, such as `mine.TwoState`.
    """
    ours = vars(neurons) | vars(layers)
    return {key.lower(): cls for key, cls in ours.items() if _is_neuron(cls)} | own_classes(
        SpikingLayer, GatedCell
    )


def own_classes(*bases: type) -> dict[str, Any]:
    """The classes of these kinds in the modules that the user named, by their import paths."""
    return {
        f"{module.__name__}.{key}": value
        for module in named()
        for key, value in vars(module).items()
        # What the module imports from elsewhere is not its own.
        if isinstance(value, type)
        and issubclass(value, bases)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    }


def find_neuron(name: str, setting: str = "neurons") -> tuple[str, Kind]:
    """A neuron and its name in tables.

    Args:
        name: its name in any case, or its import path. A neuron of a module that the user named
            may go by the name of its class, if no other one has it.
        setting: for errors.
    """
    known = neuron_names()
    if name in known:
        return name, known[name]
    lower = name.lower()
    found = [key for key in known if key.lower() == lower]
    found = found or [key for key in known if key.lower().endswith(f".{lower}")]
    if len(found) > 1:
        raise ValueError(f"{setting}: {name!r} can be {' or '.join(found)}; name one of them")
    if found:
        return found[0], known[found[0]]
    if "." not in name:
        raise unknown(setting, name, known)
    cls = _at_path(name, setting)
    return next((key for key, value in known.items() if value is cls), name), cls


def neuron_at(path: str) -> Kind | None:
    """The neuron at an import path, if it is one and its module is imported; or that of a name."""
    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None) or neuron_names().get(path.lower())
    return found if _is_neuron(found) else None


def shared_options(old: Kind, new: Kind) -> dict[str, Any]:
    """The options that `new` takes over from `old`, with their defaults in `old`.

    They are those of `Neuron`, or of `GatedCell`, such as granularity, threshold and surrogate. A
    reset is not one of them: it is part of the dynamics, and some equations have their own.
    """
    for base in (Neuron, GatedCell):
        if issubclass(old, base) and issubclass(new, base):
            options = set(inspect.signature(base).parameters) - {"features", "reset"}
            given = inspect.signature(old).parameters
            return {name: given[name].default for name in options if name in given}
    return {}


def _is_neuron(value: Any) -> bool:
    kinds = (SpikingLayer, GatedCell)
    return isinstance(value, type) and issubclass(value, kinds) and value not in BASES


def _at_path(path: str, setting: str) -> Kind:
    """The neuron at an import path; an error says what is there instead."""
    check_named(setting, path)
    module, _, name = path.rpartition(".")
    try:
        room = importlib.import_module(module)
        found = getattr(room, name)
    except (ImportError, AttributeError):
        whole = path.partition(".")[0]
        if whole == "neurodyn":
            raise unknown(setting, name.lower(), neuron_names()) from None
        own = [key for key in neuron_names() if key.startswith(f"{whole}.")]
        if own:
            raise unknown(setting, path, own) from None
        place = getattr(sys.modules[whole], "__file__", "built in")
        raise ValueError(
            f"{setting}: expected a neuron, got {path}; the module {whole!r} has none ({place})"
        ) from None
    if not _is_neuron(found):
        kind = type(found).__name__
        if isinstance(found, type):
            kind = f"a subclass of {found.__mro__[1].__name__}" if found not in BASES else "a base"
        raise ValueError(
            f"{setting}: expected a neuron, a subclass of neurodyn.Neuron with its own step, got "
            f"{path}, {kind} ({getattr(room, '__file__', module)})"
        )
    return found  # type: ignore[no-any-return]
