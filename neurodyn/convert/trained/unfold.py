"""From a trained clock-driven network to its single-spike twin."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.convert.trained.conditions import check_convertible, layers_of
from neurodyn.convert.trained.copies import CopyLayer
from neurodyn.convert.trained.swap import swapped
from neurodyn.errors import check, unknown
from neurodyn.layers import padded
from neurodyn.neurons import neurons_of
from neurodyn.neurons.emission import EMISSIONS, Emission

Bound = int | Mapping[str, int | Tensor]
Batch = Tensor | tuple[Any, ...] | list[Any]
"""`x`, `(x, targets)` or `(x, targets, lengths)`; `x` is `(T, B, ...)`."""


class Twin(nn.Module):
    """A network of single-spike neurons. It is called as the trained network is.

    Attributes:
        network: the trained network, each layer of neurons replaced by its `CopyLayer`.
        emission: what the trained network is compared with: as for `unfold`.
    """

    def __init__(self, network: nn.Module, emission: Emission) -> None:
        super().__init__()
        self.network, self.emission = network, emission

    def forward(self, x: Tensor) -> Any:
        return self.network(x)

    @property
    def copies(self) -> dict[str, CopyLayer]:
        """The layers of copies, by the name of the layer in the trained network."""
        found = self.network.named_modules()
        return {name: module for name, module in found if isinstance(module, CopyLayer)}


def unfold(
    trained: nn.Module,
    steps: int = 16,
    emission: Emission = "graded",
    *,
    bound: Bound | None = None,
) -> Twin:
    """The single-spike twin of a trained network of IF, LIF, PLIF or DecayLIF with a soft reset.

    Every neuron becomes as many copies as it has spikes at most. Each fires at most once: copy `k`
    where the neuron's charged membrane, had there been no reset, reaches `k V_th` (see `CopyLayer`
    for the edges between copies that a leak needs). All copies take the same weights and have the
    same outgoing weights. Those are not written out: the product with the weights is done once, on
    the sum of the copies' spikes, which is the same.

    Args:
        trained: the network, `(T, B, ...)` in; it is copied, in evaluation mode.
        steps: timesteps of a sequence, and so the copies of a neuron with at most one spike per
            step, unless `bound` is given.
        emission: `"graded"`: the twin equals the trained network run with graded emission, in every
            spike. `"binary"`: it stands for the network with at most one spike per step. Where the
            membrane reaches two levels in one step, that network fires later than its copies, so
            the two differ, the less the shorter a step is (`compare_steps`).
        bound: copies of each neuron: a number, or by the name of the layer a number or a tensor
            with one per neuron. `measured_bound` finds the smallest on a data set. A neuron that
            needs more is an error when the twin runs.

    Raises:
        ValueError: the network is not one that the theorem covers; says which condition fails.
    """
    check("steps", steps, 1)
    if emission not in EMISSIONS:
        raise unknown("emission", emission, EMISSIONS)
    check_convertible(trained)
    network = copy.deepcopy(trained).eval()
    layers = dict(layers_of(network))
    if isinstance(bound, Mapping):
        for name in bound:
            if name not in layers:
                raise unknown("bound", name, layers)
    made: dict[nn.Module, CopyLayer] = {}
    for name, layer in layers.items():
        own = bound.get(name, steps) if isinstance(bound, Mapping) else bound
        own = torch.as_tensor(steps if own is None else own)
        wrong = own[~((own >= 0) & (own % 1 == 0))]
        if len(wrong):
            raise ValueError(
                f"bound of {name!r}: expected whole numbers, 0 or more, got {wrong[0].item()}"
            )
        made[layer] = CopyLayer(layer, own, name)
    return Twin(swapped(network, made), emission).eval()


def with_emission(trained: nn.Module, emission: Emission) -> nn.Module:
    """A copy of a network in evaluation mode whose neurons all have this emission, and run as the
    plain loop, which is what their copies equal bit for bit."""
    network = copy.deepcopy(trained).eval()
    for _, neuron in neurons_of(network):
        neuron.emission, neuron.backend = emission, "reference"
    return network


def measured_bound(trained: nn.Module, batches: Iterable[Batch]) -> dict[str, Tensor]:
    """The most spikes of each neuron over samples, by the name of the layer, `(*features)`: the
    copies that `unfold` needs for them.

    Args:
        trained: the network; it runs with graded emission.
        batches: of inputs `(T, B, ...)`.
    """
    check_convertible(trained)
    network = with_emission(trained, "graded")
    most: dict[str, Tensor] = {}
    for batch in batches:
        x, _, lengths = parts(batch)
        with padding(x, lengths):
            _, spikes = run(network, x)
        for name, layer in spikes.items():
            own = layer.sum(0).amax(0).to(torch.int64)
            most[name] = torch.maximum(most[name], own) if name in most else own
    if not most:
        raise ValueError("batches: expected at least one batch, got none")
    return most


def parts(batch: Batch) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Inputs, targets and lengths of a batch that may have the inputs alone."""
    given = [batch] if isinstance(batch, Tensor) else list(batch)
    x, targets, lengths = given + [None] * (3 - len(given))
    return x, targets, lengths


def padding(x: Tensor, lengths: Tensor | None) -> AbstractContextManager[Any]:
    """In which a batch is run: its padding is left out if it has any."""
    return nullcontext() if lengths is None else padded(lengths, len(x))


@torch.no_grad()
def run(network: nn.Module, x: Tensor) -> tuple[Any, dict[str, Tensor]]:
    """The outputs, and the spikes of every layer of neurons or of copies, by its name. A layer that
    is called several times has its spikes one after the other."""
    seen: dict[str, list[Tensor]] = {}

    def noting(name: str) -> Any:
        def note(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            seen.setdefault(name, []).append(output[0] if isinstance(output, tuple) else output)

        return note

    layers = network.copies.items() if isinstance(network, Twin) else layers_of(network)
    hooks = [layer.register_forward_hook(noting(name)) for name, layer in layers]
    try:
        outputs = network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return outputs, {name: torch.cat(calls) for name, calls in seen.items()}
