"""Recurrence: a layer's own spikes come back one step later."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.neurons import LIF, Neuron, NeuronFactory, SpikingLayer
from neurodyn.neurons.layer import check_state

State = tuple[Tensor, ...]


class Recurrent(SpikingLayer):
    """A dense layer of neurons with recurrent weights (Bittar & Garner 2022; arXiv:2512.01906):

        the neuron's input is  I[t] + s[t-1] V,   diag(V) = 0

    With `DecayLIF` this is the papers' RLIF, with `AdLIF` their RadLIF. `V` starts orthogonal. Its
    diagonal is masked, so it has neither effect nor gradient. The matrix product couples neurons at
    every step, so the layer runs as a plain loop.

    Args:
        features: number of neurons.
        neuron: makes the neurons, which need a `step`. For delays, put `Delayed` around the layer:
            `Delayed(features, neuron=Recurrent)`.

    The state is the last spikes and the neurons' states.
    """

    diagonal: Tensor

    def __init__(self, features: int | tuple[int, ...], *, neuron: NeuronFactory = LIF) -> None:
        super().__init__()
        shape = (features,) if isinstance(features, int) else tuple(features)
        if len(shape) != 1:
            raise ValueError(f"features: expected a dense layer's one number, got {shape}")
        cells = neuron(shape)
        if not isinstance(cells, Neuron):
            raise TypeError(
                f"neuron: expected one with a step, got {type(cells).__name__}; delays go around "
                "the layer: Delayed(features, neuron=Recurrent)"
            )
        self.neuron = cells
        self.V = nn.Parameter(nn.init.orthogonal_(torch.empty(shape * 2)))
        self.register_buffer("diagonal", torch.eye(*shape, dtype=torch.bool), persistent=False)

    @property
    def threshold(self) -> Tensor:  # type: ignore[override]
        """The neuron's threshold."""
        return self.neuron.threshold

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        drive: Tensor | None = None,
        return_state: bool = False,
    ) -> Any:
        if x.ndim != 3 or x.shape[2] != len(self.V):
            raise ValueError(f"x: expected (T, B, {len(self.V)}), got {tuple(x.shape)}")
        cell, start = self.neuron.cell(), self.neuron.start_state(x)
        inner = [value.expand(x.shape[1:]) for value in start]
        V = self.V.masked_fill(self.diagonal, 0).to(inner[0].dtype)
        s = torch.zeros_like(inner[0])
        if state is not None:
            s, *inner = check_state(state, ("s", *self.neuron.states), x[0], V.dtype)
        step = cell.step if drive is None else cell.driven_step
        sequences = [part.to(V.dtype).unbind(0) for part in (x, drive) if part is not None]
        spikes = []
        for current, *extra in zip(*sequences, strict=True):
            s, *inner = step(torch.addmm(current, s, V), *extra, *inner)
            spikes.append(s)
        out = torch.stack(spikes).to(x.dtype)
        return (out, (s, *inner)) if return_state else out
