"""A fitted cell as a neuron of a network: no millivolts, a timestep of any length."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor

from neurodyn.biophysics.fitting.membrane import moved
from neurodyn.learned import Learned
from neurodyn.neurons import Neuron
from neurodyn.neurons.base import Features
from neurodyn.neurons.reset import HardReset


class RecordedNeuron(Neuron):
    """A neuron whose equation was fitted to a cell:

        h = u + k f(l u) / l + x - sum_j w_j a_j  s = H(h - V_th - sum_j v_j b_j)
        a_j = rho_j a_j + s                       b_j = sigma_j b_j + s

    `f` is the flow of the fitted neuron, whose rest is 0 and whose threshold is `l`; that of the
    layer is 1. `k` is the share of the fitted neuron's timestep that one step of the network is.
    `w_j` and `v_j` are the spike-triggered currents and the moving threshold; a kernel that is
    shorter than a step is left out, as it is over before the next one. Left out too are the
    refractory time, the electrode, the noise and the low-passed current: weights in front of the
    layer learn what is to come in. The reset is the cell's. From one network's timestep to another
    only `k`, `rho`, `sigma` and `w` change.

    Args:
        features, **options: as for `Neuron`.
        neuron: the fitted neuron.
        level: `l`.
        share: `k`.
        currents: pairs of `w` and `rho`.
        thresholds: pairs of `v` and `sigma`.
    """

    share = Learned(1.0, "share of the fitted neuron's timestep per step", low=0.0)
    w: Any = Learned(vector=True)
    rho: Any = Learned(vector=True, low=0.0, high=1.0, link="clamp")
    v: Any = Learned(vector=True)
    sigma: Any = Learned(vector=True, low=0.0, high=1.0, link="clamp")

    def __init__(
        self,
        features: Features = None,
        *,
        neuron: Neuron,
        level: float = 1.0,
        currents: tuple[tuple[float, float], ...] = (),
        thresholds: tuple[tuple[float, float], ...] = (),
        **options: Any,
    ) -> None:
        membrane = copy.deepcopy(neuron).requires_grad_(options.get("learn", True) is True)
        self.states = (
            *membrane.states,
            *(f"a{j}" for j in range(len(currents))),
            *(f"b{j}" for j in range(len(thresholds))),
        )
        super().__init__(features, **options)
        self.level = level
        self.membrane = membrane.to(self.threshold.dtype)
        self.w, self.rho = [w for w, _ in currents], [r for _, r in currents]
        self.v, self.sigma = [v for v, _ in thresholds], [s for _, s in thresholds]

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        n, K = len(self.membrane.states), len(self.w)
        own, a, b = state[:n], state[n : n + K], state[n + K :]
        own = (self.level * own[0], *own[1:])
        u, *others = moved(self.membrane, self.share, torch.zeros_like(x), own)
        h, threshold = u / self.level + x, self.threshold
        for weight, trace in zip(self.w, a, strict=True):
            h = h - weight * trace
        for weight, trace in zip(self.v, b, strict=True):
            threshold = threshold + weight * trace
        s, u = self.fire(h, threshold)
        a = tuple(keep * old + s for keep, old in zip(self.rho, a, strict=True))
        b = tuple(keep * old + s for keep, old in zip(self.sigma, b, strict=True))
        return (s, u, *others, *a, *b)


class CellLayer:
    """Makes `RecordedNeuron`s of one cell, from the shape of a layer: what a network takes."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    @classmethod
    def of(cls, model: Any, dt: float, options: dict[str, Any]) -> CellLayer:
        """From a fitted model, for timesteps of `dt` ms."""
        share, level = float(model.log_share.exp()) * dt / model.dt, float(model.level)
        late = max(dt - model.refractory, 0.0)  # Kernels start after the refractory time.

        def kernels(weights: Any, taus: Any, per_step: float) -> tuple[tuple[float, float], ...]:
            return tuple(
                (float(w) * per_step * math.exp(-late / tau), math.exp(-dt / tau))
                for w, tau in zip(weights, taus, strict=True)
                if tau > dt
            )

        neuron = model.neuron
        return cls(
            {
                "neuron": neuron,
                "level": level,
                "share": share,
                "currents": kernels(model.w, model.currents, share / level),
                "thresholds": kernels(model.v, model.thresholds, 1 / level),
                "reset": HardReset(float(model.reset) / level),
                **options,
            }
        )

    def __call__(self, features: Features = None, **more: Any) -> RecordedNeuron:
        return RecordedNeuron(features, **{**self.options, **more})
