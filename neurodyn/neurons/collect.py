"""The neurons of a network, and what is learned in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from neurodyn.neurons.base import Neuron
from neurodyn.neurons.layer import Stateful


def neurons_of(module: nn.Module) -> Iterator[tuple[str, Neuron]]:
    """Every neuron in a module, with its name. One inside a neuron is a part of its equation, and
    does not count."""
    outer: str | None = None
    for name, child in module.named_modules():
        inside = outer is not None and name.startswith(f"{outer}." if outer else "")
        if isinstance(child, Neuron) and not inside:
            outer = name
            yield name, child


def set_horizon(module: nn.Module, steps: int) -> None:
    """Tell the neurons in a module how many steps the sequences have that they will see.

    Those whose start depends on it, such as `Modal`, start again, and `QIF` gets a clip. Call it
    before training, and before weights are loaded. A recipe does so with the length in its data.
    """
    for _, neuron in neurons_of(module):
        neuron.set_horizon(steps)


def dynamics_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The learned parameters of all neurons in a module (dynamics, thresholds, widths, states), and
    those that other layers name as their `dynamics`, such as delays.

    They belong in an optimiser group of their own: no weight decay, own learning rate.
    """
    found: list[Any] = []
    for part in module.modules():
        if isinstance(part, Neuron):
            found.extend(part.parameters())
        elif isinstance(part, Stateful):
            found.extend(getattr(part, name) for name in part.dynamics)
    return list({id(p): p for p in found if isinstance(p, nn.Parameter)}.values())
