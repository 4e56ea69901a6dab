"""What happens inside a network: spikes and states of every spiking layer over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.layers import GatedCell, Recurrent
from neurodyn.neurons import Neuron


def record(
    network: nn.Module, x: Tensor, *, run: Callable[[Tensor], Any] | None = None
) -> dict[str, dict[str, Tensor]]:
    """Run a network, and return the spikes and the states of its neurons.

    Each layer runs a second time for that, so this takes longer than a call, and memory for every
    state at every step. Nothing is left on the network.

    Args:
        network: any module with neurons, recurrent layers or gated cells in it.
        x: its input, `(T, B, ...)`.
        run: what is called with `x`, and calls the network; the network itself unless given.

    Returns:
        for each layer, by its name, `spikes` and every state, `(T, B, *features)`, and for a neuron
        the charged membrane `h`. A layer that the network calls several times has a number behind
        its name from the second call on.
    """
    found: dict[str, dict[str, Tensor]] = {}

    def noting(name: str) -> Any:
        def note(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], _: Any) -> None:
            found[_free(name, found)] = _over_time(module, *given, **named)

        return note

    hooks = [
        module.register_forward_hook(noting(name), with_kwargs=True)
        for name, module in network.named_modules()
        if isinstance(module, Neuron | Recurrent | GatedCell)
    ]
    try:
        with torch.no_grad():
            (run or network)(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _over_time(
    layer: Any,
    x: Tensor,
    state: Any = None,
    *,
    affine: tuple[Tensor, Tensor] | None = None,
    return_state: bool = False,
    **given: Any,
) -> dict[str, Tensor]:
    """Spikes and states of one call of a layer, whatever it returned."""
    if affine is not None:
        x = affine[0] * x + affine[1]
    recorded: dict[str, Tensor] = layer.record(x, state, **given)
    return recorded


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, with a number behind it if it is taken."""
    number = 2
    free = name or "(model)"
    while free in taken:
        free, number = f"{name or '(model)'}#{number}", number + 1
    return free
