"""Dynamics as fixed-point hardware takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from neurodyn.declared import Declared
from neurodyn.learned import Learned
from neurodyn.neurons.collect import neurons_of
from neurodyn.surrogate import Surrogate


@torch.no_grad()
def round_dynamics(network: nn.Module, bits: int = 12) -> dict[str, float]:
    """Round what the neurons of a network compute with to multiples of `2^-bits`, in place.

    That is what their equations multiply and compare with, learned or not: a decay, where the logit
    or the time constant behind it is what is learned; thresholds, jumps, reset values and initial
    states. Learned decays stay one multiple away from 0 and from 1. Surrogate windows, which exist
    in training only, and synapses are left alone.

    Args:
        network: any module with neurons in it.
        bits: after the binary point; 12 is what Loihi has for decays.

    Returns:
        The largest change of each value, by its name in the network.
    """
    if bits < 1:
        raise ValueError(f"bits: expected at least 1, got {bits}")
    changes: dict[str, float] = {}
    for name, neuron in neurons_of(network):
        for place, part in neuron.named_modules(prefix=name):
            if not isinstance(part, Surrogate):
                for key, tensor, quantity in _numbers(part):
                    full = f"{place}.{key}".lstrip(".")
                    changes[full] = _round(tensor, 2.0**-bits, quantity)
    return changes


def _numbers(part: nn.Module) -> Iterator[tuple[str, Tensor, Learned]]:
    """The name, the stored numbers and the declaration of all that a module holds itself."""
    declared = part.declarations if isinstance(part, Declared) else {}
    for key, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
        if tensor.is_floating_point():
            name = key.removeprefix("raw_")
            linked = key != name and name in declared
            quantity = declared.get(name if linked else key, Learned())
            yield (
                name if linked else key,
                tensor,
                quantity if linked else quantity.changed(link=None),
            )


def _round(tensor: Tensor, step: float, quantity: Learned) -> float:
    """Round one quantity, or its inverse where that is what the equation multiplies by."""
    value = quantity.linked(tensor.double())
    exact = 1 / value if quantity.inverse else value
    rounded = (exact / step).round() * step
    low, high = _ends(quantity)
    margin = 0.0 if quantity.link in (None, "clamp") else step
    if quantity.link is not None:
        rounded = rounded.clamp(low + margin, high - margin)
    elif quantity.inverse:
        rounded = rounded.clamp(min=step)
    tensor.copy_(quantity.unlinked(1 / rounded if quantity.inverse else rounded))
    return float((rounded - exact).abs().max())


def _ends(quantity: Learned) -> tuple[float, float]:
    """The bounds of what is rounded."""
    low = -math.inf if quantity.low is None else quantity.low
    high = math.inf if quantity.high is None else quantity.high
    if not quantity.inverse:
        return low, high
    return (0.0 if math.isinf(high) else 1 / high), (math.inf if low <= 0 else 1 / low)
