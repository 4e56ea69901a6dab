"""How many spikes one step may have: at most one, or as many as thresholds were passed."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from neurodyn.errors import unknown
from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.reset import SoftReset

Emission = Literal["binary", "graded"]
EMISSIONS = ("binary", "graded")


class Emitting(Neuron):
    """Base of the neurons that may put out several spikes in one step.

    Args:
        features, **options: as for `Neuron`.
        emission: `"binary"`, the default, fires once where `h >= V_th`. `"graded"` fires once for
            every level `k V_th`, `k >= 1`, that the charged membrane reaches, and needs
            `reset="soft"`, which then subtracts `V_th s`:

                s = max(0, floor(h / V_th)) = (k - 1) + H(h - k V_th)

            with `k` the level nearest to `h`, at least 1. Written so, `h` exactly at `k V_th` gives
            `k` spikes whatever the division rounds to. The gradient of the staircase would be a
            window at every level, `ds/dh = sum_j window(h - j V_th)`. Of that sum only the largest
            term is used, `ds/dh = window(h - k V_th)`, and so `ds/dV_th = -k ds/dh`. Below
            `1.5 V_th`, where `k = 1`, spikes and gradients are then those of `"binary"`.
    """

    def __init__(
        self, features: Features = None, *, emission: Emission | None = None, **options: Any
    ) -> None:
        super().__init__(features, **options)
        if emission is None:  # The default, as settings of older runs do not have the name.
            emission = "binary"
        if emission not in EMISSIONS:
            raise unknown("emission", emission, EMISSIONS)
        if emission == "graded" and not isinstance(self.reset, SoftReset):
            raise ValueError(
                "emission: 'graded' takes the threshold off the membrane once per spike, and needs "
                f"reset='soft', got {type(self.reset).__name__}"
            )
        self.emission = emission

    def emit(self, h: Tensor, threshold: Tensor) -> Tensor:
        if self.emission == "binary":
            return super().emit(h, threshold)
        level = torch.round(h / threshold).clamp(min=1).detach()
        s: Tensor = level - 1 + self.spike(h - level * threshold)
        return s

    def extra_repr(self) -> str:
        graded = ", emission=graded" if self.emission == "graded" else ""
        return super().extra_repr() + graded
