"""Dynamics as fixed-point hardware takes them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurodyn.neurons.base import neurons_of
from neurodyn.neurons.ranged import Link
from neurodyn.surrogate import Surrogate


@torch.no_grad()
def round_dynamics(network: nn.Module, bits: int = 12) -> dict[str, float]:
    """Round what the neurons of a network compute with to multiples of `2^-bits`, in place.

    That is what their equations multiply and compare with, learned or not: a decay, where the logit
    or the time constant behind it is what is learned; thresholds, jumps, reset values and initial
    states. Such decays stay one multiple away from 0 and from 1. Surrogate windows, which exist in
    training only, and synapses are left alone.

    Args:
        network: any module with neurons in it.
        bits: after the binary point; 12 is what Loihi has for decays.

    Returns:
        The largest change of each value, by its parameter's name in the network.
    """
    if bits < 1:
        raise ValueError(f"bits: expected at least 1, got {bits}")
    changes: dict[str, float] = {}
    for name, neuron in neurons_of(network):
        for place, part in neuron.named_modules(prefix=name):
            if isinstance(part, Surrogate):
                continue
            links = getattr(part, "links", {})
            own = (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False))
            for key, tensor in own:
                if tensor.is_floating_point():
                    full = f"{place}.{key}".lstrip(".")
                    changes[full] = _round(tensor, 2.0**-bits, links.get(key))
    return changes


def _round(tensor: Tensor, step: float, link: Link | None) -> float:
    exact = tensor.double() if link is None else link.value(tensor.double())
    rounded = (exact / step).round() * step
    if link is None:
        tensor.copy_(rounded)
    else:
        rounded = rounded.clamp(step, 1 - step)
        tensor.copy_(link.raw(rounded))
    return float((rounded - exact).abs().max())
