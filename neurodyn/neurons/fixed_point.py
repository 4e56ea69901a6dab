"""Dynamics as fixed-point hardware takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from neurodyn.declared import Declared, Vector
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
            if not isinstance(part, Surrogate | Vector):
                for key, tensor, quantity in _numbers(part):
                    full = f"{place}.{key}".lstrip(".")
                    changes[full] = _round(tensor, 2.0**-bits, quantity)
    return changes


def _numbers(part: nn.Module) -> Iterator[tuple[str, Tensor, Learned]]:
    """The name, the stored numbers and the declaration of everything that a module holds itself."""
    declared = part.declarations if isinstance(part, Declared) else {}
    held = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
    for key, vector in part.named_children():
        if isinstance(vector, Vector):
            held += [(f"{key}.{i}", number) for i, number in enumerate(vector)]
    for key, tensor in held:
        stored, dot, place = key.partition(".")
        name = stored.removeprefix("raw_")
        if tensor.is_floating_point():
            if name != stored and name in declared:
                yield name + dot + place, tensor, declared[name]
            else:  # Stored as its value.
                yield key, tensor, declared.get(stored, Learned()).changed(link=None, scale=1.0)


def _round(tensor: Tensor, step: float, quantity: Learned) -> float:
    """Round one quantity, or its inverse where that is what the equation multiplies by."""
    value = quantity.linked(tensor.double())
    exact = 1 / value if quantity.inverse else value
    rounded = (exact / step).round()
    if quantity.link is not None:
        low, high = _ends(quantity, step)
        if low > high:  # There is no multiple within the bounds.
            return 0.0
        rounded = rounded.clamp(low, high)
    elif quantity.inverse:
        rounded = rounded.clamp(min=1)
    rounded = rounded * step
    tensor.copy_(quantity.unlinked(1 / rounded if quantity.inverse else rounded))
    return float((rounded - exact).abs().max())


def _ends(quantity: Learned, step: float) -> tuple[float, float]:
    """The first and the last multiple within the bounds; the bounds themselves may be none."""
    low = -math.inf if quantity.low is None else quantity.low
    high = math.inf if quantity.high is None else quantity.high
    if quantity.inverse:
        low, high = 1 / high, (math.inf if low <= 0 else 1 / low)
    # A bound that is never reached is one multiple away.
    margin = 0 if quantity.link == "clamp" else 1
    first = low if math.isinf(low) else math.ceil(low / step - 1e-9) + margin
    last = high if math.isinf(high) else math.floor(high / step + 1e-9) - margin
    return first, last
