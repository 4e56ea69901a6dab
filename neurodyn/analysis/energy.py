"""The cost of a network's answer: spikes, synaptic operations, energy.

    E = sum SOP * e_add + updates * (muls * e_mul + adds * e_add) + analog MACs * e_mac

with 45 nm figures (Horowitz 2014): 0.9 pJ per addition, 3.7 pJ per multiplication, 4.6 pJ for both.
A synaptic operation (SOP) is one addition: a spike of either sign goes through one of its outgoing
weights, recurrent ones included. A count of n spikes is n spikes. An input that is neither zero nor
a count, such as a pooled spike, is one spike.

Two kinds of synapses see analog numbers, so they multiply and are dense. The first kind are those
at the network's input, unless the input is counts of spikes (whole numbers). The second kind are
those that a module names as `analog`, as CS-GRU does from the current to the gate and MS-ResNet on
its convolving shortcuts. The products of attention have no weights: they take one addition for each
pair of activities that both differ from zero.

Memory is counted separately: `accesses`, the words read or written, and `memory_energy`. A synaptic
operation reads a weight, and reads and writes the sum that it adds to. A neuron update reads and
writes the neuron's states, and reads the parameters that are learned for that neuron alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from torch import Tensor, nn

from neurodyn.layers import DelayLine, GatedCell, LearnedDelays, MatMul, Recurrent
from neurodyn.neurons import Neuron, SpikingLayer, Stateful
from neurodyn.step.functions import arithmetic
from neurodyn.step.graph import UnsupportedStepError
from neurodyn.step.program import program_of

PJ_ADD, PJ_MUL, PJ_MAC = 0.9, 3.7, 4.6
PJ_WORD = 5.0
"""Picojoules to access 32 bits of an 8 KB memory at 45 nm: half of Horowitz's figure for 64."""
WORDS_PER_SYNAPSE = 3
SYNAPSES = (nn.Conv2d, nn.Conv1d, nn.Linear, LearnedDelays)
SPIKING = (SpikingLayer, GatedCell)


@dataclass
class LayerActivity:
    """One layer's totals over all samples seen.

    Attributes:
        macs: multiply-accumulates of the dense layer.
        sops: synaptic operations, one per incoming spike and weight that it went through.
        analog: whether it saw numbers other than counts of spikes, and so multiplies.
        updates: neuron updates (neurons x timesteps).
        spikes: how many of them fired.
        operations: multiplications and additions of one update.
        words: words of memory that one update reads and writes.
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
        samples: the number of samples seen.
        layers: activity by the layer's name.
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
        """Synaptic operations per sample; layers that multiply have none."""
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
            WORDS_PER_SYNAPSE * (layer.macs if layer.analog else layer.sops)
            + layer.updates * layer.words
            for layer in self.layers.values()
        )

    def memory_energy(self, pj_word: float = PJ_WORD) -> float:
        """Picojoules of memory accesses per sample.

        Args:
            pj_word: picojoules per word. A memory of 1 MB on the chip takes ten times the default.
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
        # A layer around a neuron returns the neuron's spikes; they are counted once.
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

    A layer may declare those of its cheapest algebraic form (constants folded, an added constant in
    the layer's bias). Otherwise those of a neuron are counted in its traced step, and a layer
    around one has the sum over its parts. Comparisons, transcendental functions and what follows
    from parameters alone are not counted.
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

    Each state is read and written. A delay line writes one word, and reads all of its words and
    their weights. Parameters that a layer or a channel shares stay in registers; those of one
    neuron are read. The last spikes of a gated cell are bits, and not counted.
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


class _Charge(nn.Module):
    """A neuron's dynamics without spike and reset, as a cell for the tracer."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.neuron = neuron

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        after = self.neuron.charge(x, *state)
        return after[0], *after


def _traced(neuron: Neuron) -> tuple[int, int]:
    program, _ = program_of(_Charge(neuron), 1, len(neuron.states), neuron.threshold.dtype)
    if isinstance(program, UnsupportedStepError):
        raise ValueError(
            f"operations: those of {type(neuron).__name__} cannot be counted ({program}); declare "
            "them as `operations = (multiplications, additions)` in the class"
        )
    functions, _ = program.functions(None)
    return arithmetic(functions.step)
