"""Products that no hook counts: modules that the meter does not know, and functions."""

from __future__ import annotations

import re
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.overrides import TorchFunctionMode

from neurodyn.analysis.fanout import SYNAPSES
from neurodyn.layers import DelayLine, GatedCell, MatMul, Recurrent
from neurodyn.neurons import Neuron, SpikingLayer
from neurodyn.neurons.reset import Reset
from neurodyn.step.torch_private import BatchNorm
from neurodyn.surrogate import Surrogate

SPIKING = (SpikingLayer, GatedCell)
"""Modules whose updates are counted, and their spikes."""
COUNTED = (*SYNAPSES, MatMul, Recurrent, Neuron, DelayLine, ParametrizationList)
"""Modules whose every product is counted, or makes a weight."""
KNOWN = (*SYNAPSES, Recurrent, Neuron, Surrogate, Reset, BatchNorm, ParametrizationList)
"""Modules whose own parameters are counted, besides spiking ones that declare their `operations`.
A batch normalisation folds into the weights."""
PRODUCTS = re.compile(
    r"(r?mat|chain_mat)mul|(sparse_)?mm|bmm|mv|dot|vdot|vecdot|inner|outer|ger|kron|einsum|tensordot"
    r"|multi_dot|add(mm|bmm|mv|r)|baddbmm|(bi)?linear|conv(_transpose)?[123]d|convolution"
    r"|scaled_dot_product_attention|multi_head_attention_forward"
)
"""Functions that multiply two tensors and sum, by name. Elementwise ones are not among them."""


class Watch(TorchFunctionMode):
    """Collects the names of what runs in a model and is not counted.

    The mode is active only while the model runs.

    Args:
        found: names are added to this list, each once.
    """

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found
        self._running: list[tuple[str, nn.Module]] = []
        self._in_spiking: set[nn.Module] = set()
        self._active = False

    def hooks(self, model: nn.Module) -> list[Any]:
        """Hooks on all modules of a model. Those that count must come before them."""
        self._in_spiking = {
            part for m in model.modules() if isinstance(m, SPIKING) for part in m.modules()
        }
        # The parts of a neuron are its step's: with hooks on them, no kernel would run.
        inside = {
            part for m in model.modules() if isinstance(m, Neuron) for part in m.modules()
        } - {m for m in model.modules() if isinstance(m, Neuron)}
        made: list[Any] = [model.register_forward_pre_hook(self._start, prepend=True)]
        for name, module in model.named_modules():
            if module in inside:
                continue
            made.append(module.register_forward_pre_hook(self._enter(name or "(model)")))
            made.append(module.register_forward_hook(self._leave, always_call=True))
        made.append(model.register_forward_hook(self._stop, always_call=True))
        return made

    def _start(self, *_: Any) -> None:
        self._running.clear()
        if not self._active:
            self._active = True
            self.__enter__()

    def _stop(self, *_: Any) -> None:
        if self._active:
            self._active = False
            self.__exit__(None, None, None)

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            if not self._counted() and self._unknown(module):
                self._add(name)
            self._running.append((name, module))

        return hook

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._running and self._running[-1][1] is module:
            self._running.pop()

    def _counted(self) -> bool:
        return any(isinstance(module, COUNTED) for _, module in self._running)

    def _unknown(self, module: nn.Module) -> bool:
        """Whether it has parameters of its own that no hook counts."""
        declares = module in self._in_spiking and getattr(module, "operations", None) is not None
        known = declares or isinstance(module, KNOWN)
        return not known and any(True for _ in module.parameters(recurse=False))

    def _add(self, name: str) -> None:
        if name not in self.found:
            self.found.append(name)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "").split(".")[0].strip("_").removeprefix("linalg_")
        if PRODUCTS.fullmatch(name) and self._running and not self._counted():
            module = self._running[-1][0]
            if module not in self.found:
                self._add(f"{module}: {name}")
        return func(*args, **(kwargs or {}))
