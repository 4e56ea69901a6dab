"""Neurons and gated cells by their names on the command line."""

from __future__ import annotations

import inspect
from typing import Any

from neurodyn import layers, neurons
from neurodyn.layers import GatedCell
from neurodyn.neurons import Neuron, SpikingLayer


def neuron_names() -> dict[str, type[SpikingLayer | GatedCell]]:
    """Every neuron, every layer around one and every gated cell, by its lower-case name."""
    return {
        key.lower(): value
        for key, value in (vars(neurons) | vars(layers)).items()
        if isinstance(value, type)
        and issubclass(value, SpikingLayer | GatedCell)
        and value not in (SpikingLayer, Neuron, GatedCell)
    }


def shared_options(
    old: type[SpikingLayer | GatedCell], new: type[SpikingLayer | GatedCell]
) -> dict[str, Any]:
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
