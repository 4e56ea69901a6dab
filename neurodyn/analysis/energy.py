"""What a network does for its answer: spikes, synaptic operations, energy.

    E = sum SOP * e_add + neurons * T * (muls * e_mul + adds * e_add) + first-layer MACs * e_mac

with 45 nm figures (Horowitz 2014): 0.9 pJ an addition, 3.7 pJ a multiplication, 4.6 pJ both. A
synaptic operation (SOP) is one addition: a non-zero input times one of its outgoing weights. The
first layer sees analog input and multiplies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from neurodyn.neurons import Neuron

PJ_ADD, PJ_MUL, PJ_MAC = 0.9, 3.7, 4.6


@dataclass
class LayerActivity:
    """One layer's totals over all samples seen.

    Attributes:
        macs: multiply-accumulates of the dense layer.
        sops: the share of them whose input was not zero.
        updates: neuron updates (neurons x timesteps).
        spikes: how many of them fired.
        operations: multiplications and additions of one update.
    """

    macs: float = 0.0
    sops: float = 0.0
    updates: float = 0.0
    spikes: float = 0.0
    operations: tuple[int, int] = (0, 0)


@dataclass
class Activity:
    """Activity of a network by layer, and its sums a sample."""

    samples: int = 0
    layers: dict[str, LayerActivity] = field(default_factory=dict)
    first: str | None = None

    @property
    def rate(self) -> float:
        """Spikes a neuron and timestep."""
        updates = sum(layer.updates for layer in self.layers.values())
        return sum(layer.spikes for layer in self.layers.values()) / max(updates, 1.0)

    @property
    def sops(self) -> float:
        """Synaptic operations a sample, without the first layer."""
        return self._mean(layer.sops for name, layer in self.layers.items() if name != self.first)

    @property
    def macs(self) -> float:
        """Dense multiply-accumulates a sample, first layer included."""
        return self._mean(layer.macs for layer in self.layers.values())

    @property
    def updates(self) -> float:
        """Neuron updates a sample."""
        return self._mean(layer.updates for layer in self.layers.values())

    @property
    def energy(self) -> float:
        """Picojoules a sample."""
        neurons = self._mean(
            layer.updates * (layer.operations[0] * PJ_MUL + layer.operations[1] * PJ_ADD)
            for layer in self.layers.values()
        )
        first = self.layers[self.first].macs / self.samples if self.first else 0.0
        return self.sops * PJ_ADD + neurons + first * PJ_MAC

    def _mean(self, values: Any) -> float:
        return float(sum(values)) / max(self.samples, 1)


class ActivityMeter:
    """Counts a model's activity while it is active as a context:

    with ActivityMeter(model) as meter:
        model(x)                        # (T, B, ...)
    print(meter.activity.energy)
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.activity = Activity()
        self._hooks: list[Any] = []

    def __enter__(self) -> ActivityMeter:
        self._hooks.append(self.model.register_forward_pre_hook(self._count_samples))
        for name, module in self.model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Linear):
                self._hooks.append(module.register_forward_hook(self._synapses(name)))
            elif isinstance(module, Neuron):
                self._hooks.append(module.register_forward_hook(self._neurons(name)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _count_samples(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.activity.samples += inputs[0].shape[1]

    def _layer(self, name: str) -> LayerActivity:
        return self.activity.layers.setdefault(name, LayerActivity())

    def _synapses(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if self.activity.first is None:
                self.activity.first = name
            weight = module.weight
            assert isinstance(weight, Tensor)
            macs = output.numel() * weight[0].numel()
            layer = self._layer(name)
            layer.macs += macs
            layer.sops += macs * (inputs[0] != 0).float().mean().item()

        return hook

    def _neurons(self, name: str) -> Any:
        def hook(module: Neuron, inputs: tuple[Tensor, ...], output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            layer = self._layer(name)
            layer.updates += spikes.numel()
            layer.spikes += spikes.detach().float().sum().item()
            layer.operations = operations(module)

        return hook


def operations(neuron: Neuron) -> tuple[int, int]:
    """Multiplications and additions of one update of a neuron.

    What the neuron declares for its cheapest algebraic form (constants folded, an added constant in
    the layer's bias), or else a count over its traced step as it is written. Comparisons and
    transcendental functions are not counted.
    """
    if neuron.operations is not None:
        return neuron.operations
    example = [torch.zeros(()) for _ in ("x", *neuron.states)]
    if neuron.per != "layer":
        example = [value.expand(neuron.threshold.shape).clone() for value in example]
    calls = [str(node.target) for node in make_fx(neuron.charge)(*example).graph.nodes]
    names = [name.split(".")[1] for name in calls if name.startswith("aten.")]
    muls = sum(name in ("mul", "div", "pow", "square", "reciprocal") for name in names)
    adds = sum(name in ("add", "sub", "rsub") for name in names)
    return muls, adds
