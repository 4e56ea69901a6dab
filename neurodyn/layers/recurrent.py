"""Recurrence: a layer's own spikes come back one step later."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.declared import shallow
from neurodyn.neurons import LIF, Neuron, NeuronFactory, SpikingLayer
from neurodyn.neurons.layer import check_state
from neurodyn.scan import scan
from neurodyn.scan.reference import Sequences

State = tuple[Tensor, ...]


class Recurrent(SpikingLayer):
    """A dense layer of neurons with recurrent weights (Bittar & Garner 2022; arXiv:2512.01906):

        the neuron's input is  I[t] + s[t-1] V,   diag(V) = 0

    With `DecayLIF` this is the papers' RLIF, with `AdLIF` their RadLIF. `V` starts orthogonal,
    times `gain`. Its diagonal is masked, so it has neither effect nor gradient. The matrix product
    couples neurons at every step: on the CPU inside the kernel, on other devices in a plain loop.

    Args:
        features: number of neurons.
        neuron: makes the neurons, which need a `step`. For delays, put `Delayed` around the layer:
            `Delayed(features, neuron=Recurrent)`.
        gain: of the start of `V`; 1 is the papers'. Over a thousand steps, neurons with long
            memories train only from a small one, such as .1. With 0, `V` starts at zero.

    The state is the last spikes and the neurons' states.
    """

    diagonal: Tensor

    def __init__(
        self,
        features: int | tuple[int, ...],
        *,
        neuron: NeuronFactory = LIF,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= gain < math.inf:
            raise ValueError(f"gain: expected a number of at least 0, got {gain}")
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
        self.V = nn.Parameter(nn.init.orthogonal_(torch.empty(shape * 2), gain))
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
        (spikes,), final, _ = self._run(x, state, drive, final=return_state)
        return (spikes, final) if return_state else spikes

    def record(
        self, x: Tensor, state: State | None = None, *, drive: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Spikes and every state of the neurons over time, by name, each `(T, B, F)`."""
        (spikes,), _, (_, *states) = self._run(x, state, drive, final=False, record=True)
        return {"spikes": spikes, **dict(zip(self.neuron.states, states, strict=True))}

    def _run(
        self, x: Tensor, state: State | None, drive: Tensor | None, **asked: Any
    ) -> tuple[Sequences, State, Sequences]:
        if x.ndim != 3 or x.shape[2] != len(self.V):
            raise ValueError(f"x: expected (T, B, {len(self.V)}), got {tuple(x.shape)}")
        start, names = self.neuron.start_state(x), ("s", *self.neuron.states)
        if state is None:
            state = (start[0].new_zeros(1), *start)
        else:
            state = check_state(state, names, x[0], start[0].dtype)
        inputs = (x,) if drive is None else (x, drive)
        back = (self.V.masked_fill(self.diagonal, 0), None)[: len(inputs)]
        # Of a neuron's backends those that couple neurons.
        backend = self.neuron.backend if self.neuron.backend in ("reference", "cpu") else "auto"
        return scan(self.cell(), inputs, state, feedback=back, backend=backend, **asked)

    def cell(self) -> Recurrent:
        """The layer as `scan` runs it: itself or, as for its neuron, a twin for this run."""
        cell = self.neuron.cell()
        if cell is self.neuron:
            return self
        twin = shallow(self)
        twin.__dict__["_modules"]["neuron"] = cell
        twin.__dict__["made_by"] = self, "cell", ()
        return twin

    def step(self, *given: Tensor) -> tuple[Tensor, ...]:
        """One timestep after the weights: `(x[, drive], s, *states) -> (spikes, s, *states)`."""
        cut = len(given) - len(self.neuron.states)
        inputs, states = given[: cut - 1], given[cut:]
        run = self.neuron.step if len(inputs) == 1 else self.neuron.driven_step
        spikes, *after = run(*inputs, *states)
        return (spikes, spikes, *after)
