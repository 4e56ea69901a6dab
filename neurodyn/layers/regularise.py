"""Regularisers: terms that a recipe adds to its loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from neurodyn.layers.gated_cell import GatedCell
from neurodyn.layers.time import valid_steps
from neurodyn.neurons import Neuron, SpikingLayer


class Regulariser(nn.Module):
    """Base of the regularisers: attached to a model once, called after every pass for the penalty:

    regulariser.attach(model)
    loss = criterion(model(x), y) + regulariser()
    """

    def attach(self, model: nn.Module) -> None:
        """Guard this model from now on."""
        raise NotImplementedError(f"{type(self).__name__} does not define its attach")

    def forward(self) -> Tensor:
        """The penalty, a scalar that gradients flow through."""
        raise NotImplementedError(f"{type(self).__name__} does not define its penalty")


class FiringRate(Regulariser):
    """Holds each neuron's firing rate within bounds:

        weight * mean over neurons of (max(0, low - r)^2 + max(0, r - high)^2), summed over layers

    with `r` in spikes per step, averaged over time and batch. Only passes in training mode count.
    A call sums over the passes since the last call.

    Args:
        low: neurons that fire less are driven up, in spikes per step; 0 for no such bound.
        high: neurons that fire more are driven down; 1 for no such bound.
        weight: of the penalty in the loss.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0, weight: float = 1.0) -> None:
        super().__init__()
        if not 0 <= low <= high <= 1:
            raise ValueError(f"low, high: expected 0 <= low <= high <= 1, got {low} and {high}")
        # Graded spikes may be more than one per step.
        self.low, self.high, self.weight = low, high if high < 1 else math.inf, weight
        self._penalties: list[Tensor] = []

    def attach(self, model: nn.Module) -> None:
        layers = list(_outermost(model))
        if not layers:
            raise ValueError("model: expected spiking layers, got none")
        for layer in layers:
            layer.register_forward_hook(self._watch)

    def forward(self) -> Tensor:
        if not self._penalties:
            raise RuntimeError("FiringRate: expected a pass of the attached model in training mode")
        penalties, self._penalties = self._penalties, []
        return self.weight * sum(penalties[1:], penalties[0])

    def _watch(self, layer: nn.Module, args: Any, output: Any) -> None:
        if layer.training:
            spikes = output[0] if isinstance(output, tuple) else output
            if getattr(layer, "signed", False):
                # Signed spikes only: at zero, the magnitude has no gradient.
                spikes = spikes.abs()
            valid = valid_steps()
            rate = spikes.mean((0, 1)) if valid is None else spikes[valid].mean(0)
            self._penalties.append(_outside(rate, self.low, self.high))


class Bounds(Regulariser):
    """Holds a quantity of the neurons within bounds, softly:

        weight * mean over entries of (max(0, low - p)^2 + max(0, p - high)^2), summed over neurons

    Args:
        name: a quantity of neurons by its name, such as `"tau_mem"` or `"threshold"`, or the
            parameter that stores it, such as `"raw_alpha"`; neurons without it are left alone.
        low, high: the bounds, in the quantity's units.
        weight: of the penalty in the loss.
    """

    def __init__(
        self, name: str, low: float = -math.inf, high: float = math.inf, weight: float = 1.0
    ) -> None:
        super().__init__()
        if not low <= high:
            raise ValueError(f"low, high: expected low <= high, got {low} and {high}")
        self.name, self.low, self.high, self.weight = name, low, high, weight
        self._neurons: list[Neuron] = []

    def attach(self, model: nn.Module) -> None:
        neurons = [part for part in model.modules() if isinstance(part, Neuron)]
        found = [neuron for neuron in neurons if self._value(neuron) is not None]
        if not found:
            raise ValueError(f"name: no neuron of the model has {self.name!r}")
        self._neurons += found

    def forward(self) -> Tensor:
        if not self._neurons:
            raise RuntimeError("Bounds: expected attach(model) before the first call")
        values = [attrgetter(self.name)(neuron) for neuron in self._neurons]
        penalties = [_outside(value, self.low, self.high) for value in values]
        return self.weight * sum(penalties[1:], penalties[0])

    def _value(self, neuron: Neuron) -> Tensor | None:
        try:
            value = attrgetter(self.name)(neuron)
        except AttributeError:
            return None
        return value if isinstance(value, Tensor) else None


def _outside(value: Tensor, low: float, high: float) -> Tensor:
    """The mean squared distance of values from their bounds; 0 within them."""
    return (F.relu(low - value) ** 2 + F.relu(value - high) ** 2).mean()


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    """The spiking layers that lie in no other one: their spikes are the layers' output."""
    if isinstance(module, SpikingLayer | GatedCell):
        yield module
    else:
        for child in module.children():
            yield from _outermost(child)
