"""How many synapses a network has, and its single-spike twin.

Every weight is replaced by a one and every neuron by the number of its copies. What then arrives at
a neuron is the number of copies that it is connected to, each path counted once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.analysis.fanout import SYNAPSES
from neurodyn.convert.trained.conditions import layers_of
from neurodyn.convert.trained.swap import swapped
from neurodyn.layers import LearnedDelays, Readout, Recurrent
from neurodyn.step.torch_private import BatchNorm

POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)


class _Tally(nn.Module):
    """Stands for a layer of neurons: adds up their incoming connections, and puts out how many
    copies each has."""

    def __init__(self, copies: Tensor, *, recurrent: bool) -> None:
        super().__init__()
        self.copies, self.recurrent, self.incoming = copies, recurrent, 0.0

    @property
    def threshold(self) -> Tensor:
        return torch.ones(1)

    def forward(self, x: Tensor, state: Any = None, *, return_state: bool = False, **_: Any) -> Any:
        copies = self.copies.to(x).expand(x.shape[2:])
        self.incoming += float((x[0, 0] * copies).sum())
        if self.recurrent:  # From all copies to all of other neurons.
            self.incoming += float(copies.sum() ** 2 - (copies**2).sum())
        out = copies.expand_as(x)
        return (out, ()) if return_state else out


@torch.no_grad()
def count_synapses(
    trained: nn.Module, x: Tensor, copies: Mapping[str, Tensor] | None = None
) -> int:
    """The connections of a network from its inputs to its outputs, each value of the input one
    line.

    Args:
        trained: a network that can be unfolded.
        x: an input, `(T, B, ...)`; only its shape counts.
        copies: how many copies each neuron has, by the name of the layer; one unless given.
    """
    network = copy.deepcopy(trained).eval().double()
    tallies: dict[nn.Module, _Tally] = {}
    for name, layer in layers_of(network):
        made = torch.ones(1) if copies is None else copies[name]
        tallies[layer] = _Tally(made, recurrent=isinstance(layer, Recurrent))
    replaced: dict[nn.Module, nn.Module] = {**tallies}
    for module in network.modules():
        if isinstance(module, BatchNorm | Readout) or _by_value(module):
            replaced[module] = nn.Identity()
        elif isinstance(module, LearnedDelays):
            out, into = module.weight.shape
            replaced[module] = nn.Linear(into, out, bias=False).double()
        elif isinstance(module, POOLS + ADAPTIVE):
            module.register_forward_hook(_as_sum)
    network = swapped(network, replaced)
    for module in network.modules():
        for name, weights in module.named_parameters(recurse=False):
            if isinstance(module, SYNAPSES):
                weights.fill_(0.0 if name == "bias" else 1.0)
    out = network(x.new_ones(1, 1, *x.shape[2:], dtype=torch.float64))
    return round(sum(tally.incoming for tally in tallies.values()) + float(out.sum()))


def _by_value(module: nn.Module) -> bool:
    """Whether it is a function of values (a softmax, a normalisation), which connects nothing."""
    files = ("activation", "normalization", "instancenorm")
    return type(module).__module__ in [f"torch.nn.modules.{file}" for file in files]


def _as_sum(pool: Any, given: tuple[Tensor], out: Tensor) -> Tensor:
    """A mean over a window as the sum over it."""
    dims = _dims(pool)
    if isinstance(pool, ADAPTIVE):
        return out * (given[0].shape[-dims:].numel() / out.shape[-dims:].numel())
    size: Any = pool.kernel_size
    window: int = size**dims if isinstance(size, int) else math.prod(size)
    return out * window


def _dims(pool: nn.Module) -> int:
    """The dimensions that a pooling layer is over."""
    pairs = zip(POOLS + ADAPTIVE, (1, 2, 3) * 2, strict=True)
    return next(dims for kind, dims in pairs if isinstance(pool, kind))
