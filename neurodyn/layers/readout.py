"""Read-outs: the scores `(B, K)` of a sequence of outputs `(T, B, K)`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Mean(nn.Module):
    """The mean over time."""

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.mean(0)


class Last(nn.Module):
    """The last step."""

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs[-1]


class Max(nn.Module):
    """The largest value over time."""

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.amax(0)


class Leaky(nn.Module):
    """A leaky integrator that never spikes: `y[t] = a y[t-1] + (1 - a) o[t]`, score `y[T]`.

    Args:
        classes: number of outputs, each with its own `a`.
        decay: where `a` starts, in (0, 1); learned as its logit.
    """

    def __init__(self, classes: int, *, decay: float = 0.9) -> None:
        super().__init__()
        if not 0 < decay < 1:
            raise ValueError(f"decay: expected a number between 0 and 1, got {decay}")
        self.logit = nn.Parameter(torch.full((classes,), math.log(decay / (1 - decay))))

    def forward(self, outputs: Tensor) -> Tensor:
        a = torch.sigmoid(self.logit)
        y = torch.zeros_like(outputs[0])
        for o in outputs.unbind(0):
            y = a * y + (1 - a) * o
        return y
