"""What a surrogate is trained for."""

from __future__ import annotations

import torch
from torch import Tensor


def relative(predicted: Tensor, true: Tensor, power: int) -> Tensor:
    """`||predicted - true||_p / ||true||_p` over time, for each trace: `(T, B)` to `(B,)`."""
    error: Tensor = (predicted - true).norm(power, 0) / true.norm(power, 0)
    return error


def soft_sag(V: Tensor, on: Tensor, sharpness: float = 20.0) -> Tensor:
    """How far the potential comes back from its lowest point during a step [mV], `(B,)`:

        sag = mean of the last tenth of the step - soft minimum over the step
        soft minimum = sum_t V_t w_t      w = softmax(-sharpness V)

    Differentiable. The soft minimum is at most some hundredths of a millivolt above the lowest
    sample for potentials as smooth as below rest.

    Args:
        V: potentials [mV], `(T, B)`.
        on: whether the current flows, `(T, B)`.
        sharpness: of the soft minimum [1/mV].
    """
    weights = torch.softmax(torch.where(on, -sharpness * V, -torch.inf), 0)
    lowest = (weights * V).sum(0)
    order = on.cumsum(0)
    length = order[-1]
    late = on & (order > 0.9 * length)
    steady = torch.where(late, V, 0.0).sum(0) / late.sum(0)
    return steady - lowest
