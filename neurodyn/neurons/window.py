"""Surrogate windows derived from the neuron: `width = 2 sqrt(Var[h])`.

Under threshold-dependent normalisation the input is `N(0, V_th^2)`; with the membrane before the
step `N(0, V_th^2)` as well, the charged membrane `h` has a variance that follows from the neuron's
parameters (LSG, Lian et al., IJCAI 2023; QIF, arXiv:2510.05168). A window of two standard
deviations gives most neurons a gradient and few of them a useless one.

Neurons with a closed form have it in their `variance`; here is the generic way, for any step.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from neurodyn.neurons.layer import Dynamics

NODES = 48
SAMPLES, STEPS = 4096, 4
GOLDEN = 1.1673039782614187
"""The root of `x^(STEPS + 1) = x + 1`."""


def membrane_variance(neuron: Dynamics, *, with_reset: bool = False) -> Tensor:
    """`Var[h]` of any neuron, of the granularity of its parameters.

    Args:
        with_reset: start from rest, run the neuron with its spikes and resets for four steps on
            normal input, and take the variance that the fourth step has; otherwise one step from
            a normal membrane, by Gauss-Hermite quadrature. States other than the first are held
            at their initial values. The second over-estimates where resets keep the membrane low.
    """
    threshold = neuron.threshold
    points, weights = _normal(with_reset, threshold.device, threshold.dtype)
    # One more dimension in front, over which the expectation is taken.
    column = (-1,) + (1,) * threshold.ndim
    *before, last = (points.reshape(len(points), *column) * threshold).unbind(0)
    weights = weights.reshape(column)
    state = [value.expand_as(last) for value in neuron.initial_state()]
    if with_reset:
        for x in before:
            state = list(neuron.step(x, *state)[1:])
    else:
        state[0] = before[0]
    h = neuron.charge(last, *state)[0]
    mean = (weights * h).sum(0)
    variance: Tensor = (weights * (h - mean) ** 2).sum(0)
    return variance


def polynomial_variance(coefficients: list[Tensor], scale: Tensor) -> Tensor:
    """`Var[sum_k d_k U^k]` for `U ~ N(0, scale^2)`, from the normal moments `(n-1)!! scale^n`."""
    moment = [
        scale**n * math.prod(range(n - 1, 0, -2)) if n % 2 == 0 else torch.zeros_like(scale)
        for n in range(2 * len(coefficients) - 1)
    ]
    total = torch.zeros_like(scale)
    for i, a in enumerate(coefficients):
        for j, b in enumerate(coefficients):
            total = total + a * b * (moment[i + j] - moment[i] * moment[j])
    return total


@lru_cache
def _normal(samples: bool, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The points and weights of an expectation. They stay on the device, as a copy at every call
    would wait for it, and could not be part of a CUDA graph."""
    with torch.inference_mode(False):  # Training may use what an evaluation made.
        points, weights = _normal_samples() if samples else _normal_grid()
        return points.to(device, dtype), weights.to(device, dtype)


def _normal_grid() -> tuple[Tensor, Tensor]:
    """Nodes `(2, NODES^2)` of two independent standard normals and their weights."""
    # The eigenvalues of the recurrence matrix of the Hermite polynomials (Golub & Welsch 1969).
    off = torch.arange(1, NODES, dtype=torch.float64).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    weights = vectors[0] ** 2
    return torch.cartesian_prod(nodes, nodes).T, torch.outer(weights, weights).flatten()


def _normal_samples() -> tuple[Tensor, Tensor]:
    """Quasi-random standard normals `(STEPS, SAMPLES)` and their equal weights."""
    # Multiples of the powers of the generalised golden ratio fill the unit cube evenly.
    ratio = torch.tensor(GOLDEN, dtype=torch.float64) ** -torch.arange(1, STEPS + 1)[:, None]
    uniform = (0.5 + ratio * torch.arange(1, SAMPLES + 1)) % 1
    return torch.special.ndtri(uniform), torch.full((SAMPLES,), 1 / SAMPLES)
