"""The cost of an answer: spikes, synaptic operations, energy.

    E = sum SOP * e_add + updates * (muls * e_mul + adds * e_add) + analog MACs * e_mac

The figures are for 45 nm (Horowitz 2014): 0.9 pJ per addition, 3.7 pJ per multiplication, 4.6 pJ
for both. A synaptic operation (SOP) is one addition: one spike, of either sign, that passes one of
its outgoing weights, recurrent ones included. A count of n spikes is n operations. An input that is
neither zero nor a count, such as a pooled spike, is one.

Two kinds of synapses receive analog numbers, and multiply for every weight. The first kind is those
of the network's input, unless the input is counts of spikes (whole numbers). The second is those
that a module lists as `analog`: CS-GRU from the current to the gate, MS-ResNet in its convolving
shortcuts. The products of attention have no weights: they cost one addition for each pair of
activities that are both non-zero.

Memory is counted apart: `accesses` are words read or written, `memory_energy` is their energy. A
synaptic operation reads a weight, and reads and writes the sum that it adds to. A neuron update
reads and writes its states, and reads the parameters that this neuron alone has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from neurodyn.layers import DelayLine, GatedCell, LearnedDelays, MatMul, Recurrent
from neurodyn.neurons import Neuron, SpikingLayer, Stateful

PJ_ADD, PJ_MUL, PJ_MAC = 0.9, 3.7, 4.6
PJ_WORD = 5.0
"""32 bits of an 8 KB memory at 45 nm: half of the figure for 64 bits (Horowitz 2014)."""
WORDS_A_SYNAPSE = 3
SYNAPSES = (nn.Conv2d, nn.Conv1d, nn.Linear, LearnedDelays)
SPIKING = (SpikingLayer, GatedCell)


@dataclass
class LayerActivity:
    """Totals of one layer over all samples.

    Attributes:
        macs: multiply-accumulates of the dense layer.
        sops: synaptic operations: one per incoming spike and weight that it passes.
        analog: whether it received other numbers than counts of spikes, and so multiplies.
        updates: neuron updates (neurons x timesteps).
        spikes: the number of updates that fired.
        operations: multiplications and additions per update.
        words: memory words that an update reads and writes.
    """

    macs: float = 0.0
    sops: float = 0.0
    analog: bool = False
    updates: float = 0.0
    spikes: float = 0.0
    operations: tuple[int, int] = (0, 0)
    words: int = 0


@dataclass
class Activity:
    """Activity of a network by layer, and its sums per sample.

    Attributes:
        samples: the number of samples.
        layers: the activity of each layer, by name.
        parameters: the number of learned parameters.
    """

    samples: int = 0
    layers: dict[str, LayerActivity] = field(default_factory=dict)
    parameters: int = 0

    @property
    def rate(self) -> float:
        """Spikes per neuron and timestep."""
        updates = sum(layer.updates for layer in self.layers.values())
        return sum(layer.spikes for layer in self.layers.values()) / max(updates, 1.0)

    @property
    def spikes(self) -> float:
        """Spikes per sample."""
        return self._mean(layer.spikes for layer in self.layers.values())

    @property
    def sops(self) -> float:
        """Synaptic operations per sample, without layers that multiply."""
        return self._mean(layer.sops for layer in self.layers.values() if not layer.analog)

    @property
    def macs(self) -> float:
        """Dense multiply-accumulates per sample, over all layers."""
        return self._mean(layer.macs for layer in self.layers.values())

    @property
    def updates(self) -> float:
        """Neuron updates per sample."""
        return self._mean(layer.updates for layer in self.layers.values())

    @property
    def energy(self) -> float:
        """Picojoules of arithmetic per sample."""
        neurons = self._mean(
            layer.updates * (layer.operations[0] * PJ_MUL + layer.operations[1] * PJ_ADD)
            for layer in self.layers.values()
        )
        analog = self._mean(layer.macs for layer in self.layers.values() if layer.analog)
        return self.sops * PJ_ADD + neurons + analog * PJ_MAC

    @property
    def accesses(self) -> float:
        """Words read from memory or written to it, per sample."""
        return self._mean(
            WORDS_A_SYNAPSE * (layer.macs if layer.analog else layer.sops)
            + layer.updates * layer.words
            for layer in self.layers.values()
        )

    def memory_energy(self, pj_word: float = PJ_WORD) -> float:
        """Picojoules of memory accesses per sample.

        Args:
            pj_word: picojoules per word; ten times as much for a memory of 1 MB on the chip.
        """
        if not pj_word >= 0:
            raise ValueError(f"pj_word: expected picojoules, 0 or more, got {pj_word}")
        return self.accesses * pj_word

    def _mean(self, values: Iterable[float]) -> float:
        return float(sum(values)) / max(self.samples, 1)


class ActivityMeter:
    """Counts a model's activity while it is active as a context:

    with ActivityMeter(model) as meter:
        model(x)                        # (T, B, ...)
    print(meter.activity.energy)
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self.activity = Activity(parameters=learned)
        self._entered = False
        self._hooks: list[Any] = []

    def __enter__(self) -> ActivityMeter:
        self._hooks.append(self.model.register_forward_pre_hook(self._count_samples))
        # The output of a layer around a neuron is the neuron's spikes: count them once.
        inside = {p for m in self.model.modules() if isinstance(m, SPIKING) for p in m.children()}
        for name, module in self.model.named_modules():
            if isinstance(module, SYNAPSES):
                self._hooks.append(module.register_forward_hook(self._synapses(name)))
            if isinstance(module, SPIKING) and module not in inside:
                self._hooks.append(module.register_forward_hook(self._neurons(name)))
            if isinstance(module, Recurrent):
                self._hooks.append(module.register_forward_hook(self._recurrence(f"{name}.V")))
            if isinstance(module, MatMul):
                self._hooks.append(module.register_forward_hook(self._product(name)))
            for part in getattr(module, "analog", ()):
                self._layer(f"{name}.{part}".lstrip(".")).analog = True
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
        self._entered = False

    def _layer(self, name: str) -> LayerActivity:
        return self.activity.layers.setdefault(name, LayerActivity())

    def _synapses(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            layer, x = self._layer(name), inputs[0].detach()
            counts = bool((x == x.round()).all())
            if not self._entered:
                layer.analog |= not counts
                self._entered = True
            weight = module.weight
            assert isinstance(weight, Tensor)
            macs = output.numel() * weight[0].numel()
            layer.macs += macs
            layer.sops += macs * (x.abs() if counts else x != 0).float().mean().item()

        return hook

    def _neurons(self, name: str) -> Any:
        def hook(module: Stateful, inputs: tuple[Tensor, ...], output: Any) -> None:
            layer, spikes = self._layer(name), _spikes(output)
            layer.updates += spikes.numel()
            layer.spikes += spikes.abs().sum().item()
            layer.operations, layer.words = operations(module), words(module)

        return hook

    def _product(self, name: str) -> Any:
        def hook(module: MatMul, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
            layer, (a, b) = self._layer(name), inputs
            layer.macs += output.numel() * a.shape[-1]
            layer.sops += ((a != 0).double() @ (b != 0).double()).sum().item()

        return hook

    def _recurrence(self, name: str) -> Any:
        def hook(module: Recurrent, inputs: tuple[Tensor, ...], output: Any) -> None:
            layer, spikes, fan_out = self._layer(name), _spikes(output), len(module.V) - 1
            layer.macs += spikes.numel() * fan_out
            layer.sops += spikes.abs().sum().item() * fan_out

        return hook


def _spikes(output: Any) -> Tensor:
    spikes: Tensor = output[0] if isinstance(output, tuple) else output
    return spikes.detach().float()


def operations(layer: nn.Module) -> tuple[int, int]:
    """Multiplications and additions of one update of a neuron, without synapses.

    What the layer declares for its cheapest algebraic form (constants folded, an added constant in
    the layer's bias); else, for a neuron, a count over its traced step as it is written, and for a
    layer around one, what it is made of. Comparisons and transcendental functions are not counted.
    """
    declared: tuple[int, int] | None = getattr(layer, "operations", None)
    if declared is not None:
        return declared
    if isinstance(layer, Neuron):
        return _traced(layer)
    parts = [operations(part) for part in layer.children() if isinstance(part, Stateful)]
    return sum(muls for muls, _ in parts), sum(adds for _, adds in parts)


def words(layer: nn.Module) -> int:
    """Words of memory that one update of a neuron reads and writes, without synapses.

    Each state is read and written. A delay line writes a word, and reads all of its own and their
    weights. Parameters that a layer or a channel shares stay at hand, those of one neuron are read.
    The last spikes of a gated cell are bits, and not counted.
    """
    if isinstance(layer, Neuron):
        learned = [(n, p) for n, p in layer.named_parameters() if p.requires_grad]
        own = [n for n, p in learned if not n.startswith("spike.") and not n.endswith("_0")]
        return 2 * len(layer.states) + (len(own) if layer.per == "neuron" else 0)
    if isinstance(layer, GatedCell):
        return 4
    if isinstance(layer, DelayLine):
        return 2 * layer.order + 1
    return sum(words(part) for part in layer.children() if isinstance(part, Stateful))


def _traced(neuron: Neuron) -> tuple[int, int]:
    example = [torch.zeros(()) for _ in ("x", *neuron.states)]
    if neuron.per != "layer":
        example = [value.expand(neuron.threshold.shape).clone() for value in example]
    calls = [str(node.target) for node in make_fx(neuron.charge)(*example).graph.nodes]
    names = [name.split(".")[1] for name in calls if name.startswith("aten.")]
    muls = sum(name in ("mul", "div", "pow", "square", "reciprocal") for name in names)
    adds = sum(name in ("add", "sub", "rsub") for name in names)
    return muls, adds
