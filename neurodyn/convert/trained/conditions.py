"""What a trained network has to be, so that single-spike copies can stand for its neurons.

The k-th spike of a neuron is the first time at which its input, summed and leaked, reaches `k V_th`
(Dold & Petersen, arXiv:2603.13478). That needs three things:

1. The membrane is linear in its input, and depends on nothing else.
2. A spike takes the threshold off the membrane, and forgets nothing of what lies above it.
3. A neuron's input is a weighted sum of spikes.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from neurodyn.layers import Delayed, GatedCell, MatMul, Recurrent
from neurodyn.neurons import (
    ALIF,
    BRF,
    CLIF,
    EIF,
    GLIF,
    IF,
    KLIF,
    LIF,
    LNM,
    PLIF,
    QIF,
    AdLIF,
    CubaLIF,
    DecayLIF,
    Izhikevich,
    Modal,
    MultiTimescale,
    Neuron,
    Planar,
    Rational,
    SoftReset,
    SpikingLayer,
    Spline,
    TanhNet,
)
from neurodyn.step.torch_private import BatchNorm

LEAKY = (LIF, PLIF, DecayLIF)
CONVERTIBLE = (IF, *LEAKY)
"""The neurons that have single-spike copies; a subclass may have another step."""
CURVED = (LNM, QIF, EIF, Izhikevich, KLIF, Rational, Spline, TanhNet)
ADAPTIVE = (ALIF, AdLIF, CLIF, GLIF, MultiTimescale, BRF)
SEVERAL_STATES = (CubaLIF, Planar, Modal)
BENT = ("activation", "normalization", "instancenorm", "rnn", "transformer")
"""Files of PyTorch's that hold layers which are not linear."""


def check_convertible(network: nn.Module) -> None:
    """An error with the condition that fails, unless the network can be unfolded."""
    for name, module in network.named_modules():
        if (reason := _refused(module)) is not None:
            raise ValueError(
                f"trained: {name or 'the network'!r}, {type(module).__name__}, has no single-spike "
                f"copies: {reason}"
            )
    if not any(isinstance(module, Neuron) for module in network.modules()):
        raise ValueError("trained: expected a network with IF or LIF neurons, got none")
    for name, module in _between_neurons(network):
        if _bends(module):
            raise ValueError(
                f"trained: {name!r}, {type(module).__name__}, lies between neurons and is not "
                "linear, so the input of the neurons behind it is not a weighted sum of spikes"
            )


def layers_of(network: nn.Module) -> Iterator[tuple[str, Neuron | Recurrent]]:
    """The layers of neurons in a network, with their names; a recurrent layer is one with its
    neurons."""
    inside: set[nn.Module] = set()
    for name, module in network.named_modules():
        if isinstance(module, Neuron | Recurrent) and module not in inside:
            inside |= set(module.modules())
            yield name, module


def _refused(module: nn.Module) -> str | None:
    """Why a spiking layer has no single-spike copies, or None."""
    if isinstance(module, GatedCell):
        return "its gates multiply, so its membrane is not linear in its input"
    if isinstance(module, Neuron):
        return _refused_neuron(module)
    if isinstance(module, SpikingLayer) and not isinstance(module, Delayed | Recurrent):
        return f"expected {_names(CONVERTIBLE)}, or Delayed or Recurrent around them"
    return None


def _refused_neuron(neuron: Neuron) -> str | None:
    if isinstance(neuron, CURVED):
        return "its membrane is not linear in its input, and so not a sum of responses to spikes"
    if isinstance(neuron, ADAPTIVE):
        return "what it has fired changes its threshold, its current or its reset"
    if isinstance(neuron, SEVERAL_STATES):
        return f"it has the states {', '.join(neuron.states)}; expected the membrane alone"
    if type(neuron) not in CONVERTIBLE:
        return (
            "its membrane is not known to be linear in its input; expected "
            f"{_names(CONVERTIBLE)} themselves"
        )
    if not isinstance(neuron.reset, SoftReset):
        return (
            f"{type(neuron.reset).__name__} forgets how far the membrane was above the threshold, "
            "so later spikes are not crossings of the levels 2 V_th, 3 V_th, ...; expected a "
            "network that was trained with reset='soft'"
        )
    return None


def _between_neurons(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules behind the first neuron and in front of the last, in the order in which they were
    registered, which is that in which most networks call them."""
    modules = list(network.named_modules())
    places = [i for i, (_, module) in enumerate(modules) if isinstance(module, Neuron)]
    inside = {id(part) for i in places for part in modules[i][1].modules()}
    yield from (pair for pair in modules[places[0] : places[-1]] if id(pair[1]) not in inside)


def _bends(module: nn.Module) -> bool:
    """Whether a layer is known not to be linear."""
    *folder, file = type(module).__module__.split(".")
    if folder == ["torch", "nn", "modules"]:
        pools = file == "pooling" and any(kind in type(module).__name__ for kind in ("Max", "LP"))
        batch = isinstance(module, BatchNorm) and module.running_mean is None
        return file in BENT or pools or batch
    return isinstance(module, MatMul)


def _names(classes: tuple[type, ...]) -> str:
    *first, last = (cls.__name__ for cls in classes)
    return f"{', '.join(first)} or {last}"
