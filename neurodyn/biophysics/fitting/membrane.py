"""A neuron of the library as a cell's membrane: with recorded spikes, and by itself."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.neurons import Neuron

HIGHEST = 2.0
"""The potential goes no higher, in thresholds: between recorded spikes, nothing else ends an
upstroke."""


def moved(
    neuron: Neuron, share: Tensor | float, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The states after a share of a timestep: the neuron's own step without a spike is read as an
    Euler step of a flow. What moves the membrane at 0 without input is taken off, so that the
    resting potential is 0."""
    zero = torch.zeros_like(x)
    still = neuron.charge(zero, zero, *state[1:])[0]
    goal, *others = neuron.charge(x, *state)
    u = state[0]
    return (
        u + share * (goal - u - still),
        *(old + share * (new - old) for old, new in zip(state[1:], others, strict=True)),
    )


class Forced(nn.Module):
    """The membrane with recorded spikes: `(x, hold, states) -> (u, states)`.

    While `hold` is 1, from a spike to the end of the refractory time, the potential stays at the
    reset.

    Args:
        neuron: the membrane.
        share: `log` of a sample's share of the neuron's timestep.
        reset: potential after a spike, in the neuron's units.
    """

    def __init__(self, neuron: Neuron, share: nn.Parameter, reset: nn.Parameter) -> None:
        super().__init__()
        self.neuron, self.log_share, self.reset = neuron, share, reset

    def step(self, x: Tensor, hold: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One sample."""
        u, *others = moved(self.neuron, torch.exp(self.log_share), x, state)
        u = u.clamp(max=HIGHEST)
        u = u + hold * (self.reset - u)
        return (u, u, *others)


class Free(nn.Module):
    """The cell by itself: `(x, barrier, states, held, currents, thresholds) -> (spikes, ...)`.

    It fires where the logarithm of `r`, the rate that does not end at `top`, reaches a barrier: see
    `Escape.barrier`.

    Args:
        model: the fitted `Escape`.
        dt: of a sample [ms].
    """

    def __init__(self, model: Any, dt: float) -> None:
        super().__init__()
        self.neuron = model.neuron
        self.refractory = round(model.refractory / dt)
        with torch.no_grad():
            self.share = float(model.log_share.exp())
            self.level = float(model.level)
            self.reset, self.width = float(model.reset), float(model.log_width.exp())
            self.w = [float(w) for w in model.w]
            self.v = [float(v) for v in model.v]
        self.keep = [
            [math.exp(-dt / tau) for tau in taus] for taus in (model.currents, model.thresholds)
        ]

    def step(self, x: Tensor, barrier: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One sample."""
        n = len(self.neuron.states)
        held, traces = state[n], state[n + 1 :]
        ended = ((held > 0.5) & (held < 1.5)).to(x.dtype)
        keeps = [*self.keep[0], *self.keep[1]]
        kept = [keep * old + ended for keep, old in zip(keeps, traces, strict=True)]
        a, b = kept[: len(self.w)], kept[len(self.w) :]
        for weight, trace in zip(self.w, a, strict=True):
            x = x - weight * trace
        u, *others = moved(self.neuron, self.share, x, tuple(state[:n]))
        u = u.clamp(max=HIGHEST)
        u = torch.where(held > 0.5, torch.full_like(u, self.reset), u)
        above = u - self.level
        for weight, trace in zip(self.v, b, strict=True):
            above = above - weight * trace
        rate = above / self.width
        s = ((rate - barrier >= 0) & (held < 0.5)).to(x.dtype)
        held = (held - 1).clamp(min=0) + self.refractory * s
        return (s, u, u, *others, held, *a, *b)
