"""How far learned dynamics depart from a leaky integrator, and how to put one back.

The map of a leaky integrator is a line, `F(u) = a u + b` with `0 <= a <= 1`: LIF has
`a = 1 - 1/tau`, and `b` is a constant current. Only the part of a map counts that the membrane
visits, so maps are compared at the potentials that it had on data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.neurons import Neuron, neurons_of


@dataclass
class Departure:
    """How the neurons of a layer depart from LIF. Tensors have the shape of its parameters.

    Attributes:
        distance: mean of `|F(u) - (a u + b)|` over data, to the nearest line, in thresholds.
        a: slope of that line, from 0 to 1: the share of the membrane that is kept per step.
        b: its value at `u = 0`.
        rate: spikes per step.
        spread: standard deviation of the membrane potential, in thresholds.
        common: `(a, b)` of the single line that is nearest to all neurons of the layer.
    """

    distance: Tensor
    a: Tensor
    b: Tensor
    rate: Tensor
    spread: Tensor
    common: tuple[Tensor, Tensor]


class MembraneLog:
    """Records the membranes of a network while it is active as a context.

    `departures` then says how far the neurons depart from LIF. Neurons must have one state, and the
    network must be in evaluation mode. Every batch is kept in memory.
    """

    def __init__(self, network: nn.Module) -> None:
        self.neurons = dict(neurons_of(network))
        for name, neuron in self.neurons.items():
            if len(neuron.states) != 1:
                raise ValueError(f"network: {name} has states {neuron.states}, expected one")
        self._seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self.neurons}
        self._hooks: list[Any] = []

    def __enter__(self) -> MembraneLog:
        for name, neuron in self.neurons.items():
            hook = neuron.register_forward_pre_hook(self._record(name), with_kwargs=True)
            self._hooks.append(hook)
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    @torch.no_grad()
    def departures(self) -> dict[str, Departure]:
        """The departure of each layer, from all batches so far."""
        return {name: self._departure(name) for name in self.neurons}

    def _record(self, name: str) -> Any:
        @torch.no_grad()
        def hook(neuron: Neuron, inputs: tuple[Tensor, ...], options: dict[str, Any]) -> None:
            x = inputs[0]
            if options.get("affine") is not None:
                a, b = options["affine"]
                x = a * x + b
            record = neuron.record(x, drive=options.get("drive"))
            first = neuron.initial_state()[0].expand_as(x[:1])
            before = torch.cat([first, record[neuron.states[0]][:-1]])
            self._seen[name].append((before, record["spikes"]))

        return hook

    def _departure(self, name: str) -> Departure:
        neuron = self.neurons[name]
        u, spikes = (torch.cat(parts, 1) for parts in zip(*self._seen[name], strict=True))
        mapped = neuron.charge(torch.zeros_like(u), u)[0]
        shape = neuron.threshold.shape
        shared = [i for i in range(u.ndim) if i < 2 or neuron.per == "layer" or shape[i - 2] == 1]

        def mean(value: Tensor) -> Tensor:
            return value.mean(shared).reshape(shape)

        a, b = _line(mean, u, mapped)
        variance = mean(u * u) - mean(u) ** 2
        return Departure(
            distance=mean((mapped - a * u - b).abs()) / neuron.threshold,
            a=a,
            b=b,
            rate=mean(spikes),
            spread=variance.clamp(min=0).sqrt() / neuron.threshold,
            common=_line(torch.mean, u, mapped),
        )


def _line(mean: Any, u: Tensor, mapped: Tensor) -> tuple[Tensor, Tensor]:
    """The least-squares line through a map, with a slope from 0 (no memory) to 1 (no leak)."""
    covariance = mean(u * mapped) - mean(u) * mean(mapped)
    variance = (mean(u * u) - mean(u) ** 2).clamp(min=torch.finfo(u.dtype).tiny)
    a = (covariance / variance).clamp(0, 1)
    return a, mean(mapped) - a * mean(u)


class PutBack(Neuron):
    """A neuron that has the map `a u + b` where `where` is true, and its own map elsewhere.

    Args:
        neuron: a neuron with one state.
        a, b: the line, in a shape that broadcasts to that of the neuron's parameters.
        where: boolean, of such a shape.
    """

    def __init__(self, neuron: Neuron, a: Tensor, b: Tensor, where: Tensor) -> None:
        super().__init__(neuron.features, per=neuron.per, backend="reference")
        self.inner = neuron
        self.threshold, self.spike, self.reset = neuron.threshold, neuron.spike, neuron.reset
        self.u_0 = neuron.initial_state()[0]
        self.a, self.b, self.where = nn.Buffer(a), nn.Buffer(b), nn.Buffer(where)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        own = self.inner.charge(x, u)[0]
        return self.fire(torch.where(self.where, self.a * u + self.b + x, own))

    def emit(self, h: Tensor, threshold: Tensor) -> Tensor:
        return self.inner.emit(h, threshold)


@contextmanager
def put_back(
    network: nn.Module, lines: dict[str, tuple[Tensor, Tensor]], where: dict[str, Tensor]
) -> Iterator[None]:
    """Replace learned maps by lines while the context is active.

    Args:
        network: a network of neurons with one state.
        lines: `(a, b)` by the name of the layer.
        where: by the name of the layer, which of its neurons are replaced: a boolean tensor of the
            shape of its parameters. Other layers stay as they are.
    """
    before = {name: network.get_submodule(name) for name in where}
    try:
        for name, chosen in where.items():
            neuron = before[name]
            assert isinstance(neuron, Neuron)
            network.set_submodule(name, PutBack(neuron, *lines[name], chosen).to(chosen.device))
        yield
    finally:
        for name, neuron in before.items():
            network.set_submodule(name, neuron)
