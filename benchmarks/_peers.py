"""Neurons of other libraries, each run over time as its documentation shows."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LONG = 100
"""From this T on, loops are not unrolled into one kernel, which would take minutes."""


@dataclass
class Contender:
    """A neuron that turns a sequence into spikes."""

    name: str
    make: Callable[[], Any]
    call: Callable[[Any, Tensor], Tensor] = lambda model, x: model(x)
    longest: int = 10**9
    """The largest T at which it runs."""
    as_input: bool = False
    """Whether its parameters must have the dtype of the input."""


def peers(device: torch.device, dtype: torch.dtype) -> tuple[list[Contender], list[str]]:
    """Contenders from other libraries, and the names of libraries that are absent."""
    found: list[Contender] = []
    absent: list[str] = []
    for module, add in (
        ("spikingjelly", _spikingjelly),
        ("snntorch", _snntorch),
        ("norse", _norse),
        ("sinabs", _sinabs),
        ("jax", _jax),
    ):
        try:
            found += add(importlib.import_module(module), device, dtype)
        except Exception as error:
            absent.append(f"{module} ({type(error).__name__}: {error})")
    return found, absent


def _spikingjelly(_: Any, device: torch.device, dtype: torch.dtype) -> list[Contender]:
    from spikingjelly.activation_based import functional, neuron, surrogate

    def run(model: nn.Module, x: Tensor) -> Tensor:
        functional.reset_net(model)
        spikes: Tensor = model(x)
        return spikes

    def lif() -> nn.Module:
        return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(), step_mode="m")

    def plif() -> nn.Module:
        return neuron.ParametricLIFNode(surrogate_function=surrogate.ATan(), step_mode="m")

    found = [
        Contender("SpikingJelly LIF, multi-step", lif, run),
        Contender("SpikingJelly parametric LIF", plif, run),
    ]
    if dtype != torch.float32:
        # Its node keeps a half-precision membrane, for which it has no kernel.
        found.append(Contender("SpikingJelly LIF, float32 membrane", lif, _with_wide_membrane))
    with contextlib.suppress(ImportError, AttributeError):
        flex = importlib.import_module("spikingjelly.activation_based.neuron").FlexSN

        def cubic(
            x: Tensor, u: Tensor, c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor
        ) -> tuple[Tensor, Tensor]:
            f = c0 + u * (c1 + u * (c2 + u * c3))
            h = u + 0.5 * f + x
            s = surrogate.ATan.spiking_function(h - 1.0, 2.0)
            return s, h * (1 - s)

        def make() -> Any:
            c = tuple(nn.Parameter(torch.tensor(v)) for v in (0.0, -1.0, 0.0, 0.0))
            return flex(cubic, num_states=1, static_inputs=c, step_mode="m")

        longest = LONG - 1 if device.type == "cuda" else 10**9
        found.append(
            Contender("SpikingJelly FlexSN, cubic", make, run, longest=longest, as_input=True)
        )
    return found


def _with_wide_membrane(model: Any, x: Tensor) -> Tensor:
    """SpikingJelly's LIF as a function, with the membrane in float32."""
    functional = importlib.import_module("spikingjelly.activation_based.functional")
    spikes: Tensor
    spikes, *_ = functional.lif_multi_step(
        x,
        torch.zeros(x.shape[1:], device=x.device),
        tau=model.tau,
        decay_input=model.decay_input,
        v_threshold=model.v_threshold,
        v_reset=model.v_reset,
        surrogate_function=model.surrogate_function,
    )
    return spikes


def chosen_kernels() -> list[str]:
    """A list that collects what SpikingJelly logs about the kernels that it chooses."""
    said: list[str] = []
    with contextlib.suppress(ImportError):
        logger = importlib.import_module("spikingjelly.logger").logger
        logger.enable("spikingjelly")
        logger.add(
            lambda message: said.append(message.record["message"]),
            filter=lambda record: "ops selection" in record["message"],
            level="INFO",
        )
    return said


def _snntorch(module: Any, *_where: Any) -> list[Contender]:
    def make() -> Any:
        grad = importlib.import_module("snntorch.surrogate").atan()
        return module.Leaky(beta=0.5, spike_grad=grad, reset_mechanism="zero")

    def run(model: Any, x: Tensor) -> Tensor:
        membrane, spikes = model.init_leaky(), []
        for now in x.unbind(0):
            spike, membrane = model(now, membrane)
            spikes.append(spike)
        return torch.stack(spikes)

    return [Contender("snnTorch Leaky, unbind", make, run)]


def _norse(_: Any, *_where: Any) -> list[Contender]:
    from norse.torch import LIFBoxCell

    def run(model: Any, x: Tensor) -> Tensor:
        state, spikes = None, []
        for now in x.unbind(0):
            spike, state = model(now, state)
            spikes.append(spike)
        return torch.stack(spikes)

    return [Contender("Norse LIFBox, unbind", LIFBoxCell, run)]


def _sinabs(module: Any, *_where: Any) -> list[Contender]:
    layers = importlib.import_module("sinabs.layers")

    def run(model: Any, x: Tensor) -> Tensor:
        model.reset_states()
        spikes: Tensor = model(x.transpose(0, 1)).transpose(0, 1)
        return spikes

    return [Contender("sinabs LIF", lambda: layers.LIF(tau_mem=2.0), run)]


def _jax(module: Any, device: torch.device, dtype: torch.dtype) -> list[Contender]:
    found: list[Contender] = importlib.import_module("benchmarks._jax").contenders(
        module, device, dtype
    )
    return found
