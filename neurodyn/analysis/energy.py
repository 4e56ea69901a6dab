"""The cost of a network's answer: spikes, synaptic operations, energy.

    E = sum SOP * e_add + updates * (muls * e_mul + adds * e_add) + analog MACs * e_mac

with 45 nm figures (Horowitz 2014): 0.9 pJ per addition, 3.7 pJ per multiplication, 4.6 pJ for both.
A synaptic operation (SOP) is one addition: a spike of either sign goes through one of its outgoing
weights, recurrent ones included. A count of n spikes is n spikes. An input that is neither zero nor
a count, such as a pooled spike, is one spike. Padding has no spikes, so the number of outgoing
weights depends on the place in the map. Biases, and normalisation that folds into the weights, are
not counted.

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

import warnings
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

from torch import Tensor, nn

from neurodyn.analysis.activity import Activity, LayerActivity
from neurodyn.analysis.fanout import SYNAPSES, products
from neurodyn.analysis.uncounted import SPIKING, Watch
from neurodyn.analysis.updates import operations, words
from neurodyn.layers import GatedCell, MatMul, Recurrent, TimeDistributed, valid_steps
from neurodyn.neurons import Stateful

TIMED = (Stateful, TimeDistributed, MatMul)
"""Modules whose input is `(T, B, ...)`."""


class ActivityMeter:
    """Counts a model's activity while it is active as a context:

    with ActivityMeter(model) as meter:
        model(x)                        # (T, B, ...)
    print(meter.activity.table())

    Parts that ran but cannot be counted are named in `activity.uncounted` and in a warning.

    Args:
        model: the network. Its own call has to be seen, as it tells the samples apart.
        samples: the number of samples in one call of the model, or a function of the model's inputs
            that returns it. Unless given, it is the size of the batch axis that the neurons see.

    Raises:
        ValueError: at the end of a call of the model, if its samples are not given and the neurons
            do not tell their number.
    """

    def __init__(
        self, model: nn.Module, *, samples: int | Callable[..., int] | None = None
    ) -> None:
        if isinstance(samples, int) and samples < 1:
            raise ValueError(f"samples: expected at least 1 per call, got {samples}")
        self.model, self.samples = model, samples
        learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self.activity = Activity(parameters=learned)
        self._watch = Watch(self.activity.uncounted)
        self._entered = self._warned = False
        self._batches: dict[int, str] = {}
        self._folded = _parts(model, TimeDistributed)
        self._looped = _parts(model, GatedCell) - self._folded
        self._calls: Counter[nn.Module] = Counter()
        self._hooks: list[Any] = []

    def __enter__(self) -> ActivityMeter:
        self._hooks.append(self.model.register_forward_pre_hook(self._begin))
        # A layer around a neuron returns the neuron's spikes; they are counted once.
        inside = {p for m in self.model.modules() if isinstance(m, SPIKING) for p in m.children()}
        timed = SPIKING if any(isinstance(m, SPIKING) for m in self.model.modules()) else TIMED
        for name, module in self.model.named_modules():
            if isinstance(module, timed):
                hook = self._batch(name)
                self._hooks.append(module.register_forward_hook(hook, with_kwargs=True))
            if isinstance(module, SYNAPSES):
                hook = self._synapses(name)
                self._hooks.append(module.register_forward_hook(hook, with_kwargs=True))
            if isinstance(module, SPIKING) and module not in inside:
                self._hooks.append(module.register_forward_hook(self._neurons(name)))
            if isinstance(module, Recurrent):
                v = f"{name}.V".lstrip(".")
                self._hooks.append(module.register_forward_hook(self._recurrence(v)))
            if isinstance(module, MatMul):
                self._hooks.append(module.register_forward_hook(self._product(name)))
            for part in getattr(module, "analog", ()):
                self._layer(f"{name}.{part}".lstrip(".")).analog = True
        self._hooks.extend(self._watch.hooks(self.model))
        self._hooks.append(self.model.register_forward_hook(self._end))
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

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._entered = False
        self._batches.clear()
        self._calls.clear()

    def _end(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.activity.samples += self._samples_of(inputs)
        if self.activity.uncounted and not self._warned:
            self._warned = True
            warnings.warn(
                "spikes, synaptic operations and energy leave out what the meter cannot count: "
                f"{', '.join(self.activity.uncounted)}",
                stacklevel=5,  # the line that calls the model
            )

    def _samples_of(self, inputs: tuple[Any, ...]) -> int:
        if self.samples is not None:
            return self.samples if isinstance(self.samples, int) else int(self.samples(*inputs))
        if len(self._batches) == 1:
            return next(iter(self._batches))
        seen = " and ".join(f"{size} in {name!r}" for size, name in self._batches.items())
        raise ValueError(
            "samples: expected one batch size from the neurons of a call, whose input is (T, B, "
            f"...), got {seen or 'no neurons that ran'}; tell it as ActivityMeter(model, "
            "samples=...), a number or a function of the model's inputs"
        )

    def _layer(self, name: str) -> LayerActivity:
        return self.activity.layers.setdefault(name, LayerActivity())

    def _batch(self, name: str) -> Any:
        def hook(
            module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any
        ) -> None:
            self._batches.setdefault(_first(inputs, named).shape[1], name)

        return hook

    def _synapses(self, name: str) -> Any:
        def hook(
            module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Tensor
        ) -> None:
            layer = self._layer(name)
            x = self._without_padding(module, _first(inputs, named).detach())
            macs, sops, counts = products(module, x, output)
            if not self._entered:
                layer.analog |= not counts
                self._entered = True
            layer.macs += macs
            layer.sops += sops

        return hook

    def _without_padding(self, module: nn.Module, x: Tensor) -> Tensor:
        """The input of synapses at the steps that are not padding."""
        valid = valid_steps()
        if valid is None or module in self._folded:  # There, padding is out already.
            return x
        if module in self._looped:  # A call for each step.
            self._calls[module] += 1
            return x[valid[(self._calls[module] - 1) % len(valid)]]
        return x[valid] if x.shape[:2] == valid.shape else x

    def _neurons(self, name: str) -> Any:
        def hook(module: Stateful, inputs: tuple[Tensor, ...], output: Any) -> None:
            layer, spikes = self._layer(name), _spikes(output)
            layer.updates += spikes.numel()
            layer.spikes += spikes.abs().sum().item()
            layer.operations, layer.words = operations(module), words(module)

        return hook

    def _product(self, name: str) -> Any:
        def hook(module: MatMul, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
            layer, (a, b) = self._layer(name), map(_own, inputs)
            layer.macs += _own(output).numel() * a.shape[-1]
            layer.sops += ((a != 0).double() @ (b != 0).double()).sum().item()

        return hook

    def _recurrence(self, name: str) -> Any:
        def hook(module: Recurrent, inputs: tuple[Tensor, ...], output: Any) -> None:
            layer, spikes, fan_out = self._layer(name), _spikes(output), len(module.V) - 1
            layer.macs += spikes.numel() * fan_out
            layer.sops += spikes.abs().sum().item() * fan_out

        return hook


def _first(inputs: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    x: Tensor = inputs[0] if inputs else next(iter(named.values()))
    return x


def _spikes(output: Any) -> Tensor:
    """The spikes of the steps that are not padding."""
    return _own(output[0] if isinstance(output, tuple) else output).detach().float()


def _own(x: Tensor) -> Tensor:
    """The steps of `(T, B, ...)` that are not padding."""
    valid = valid_steps()
    return x if valid is None else x[valid]


def _parts(model: nn.Module, kind: type[nn.Module]) -> set[nn.Module]:
    return {part for m in model.modules() if isinstance(m, kind) for part in m.modules()}
