"""How many neurons the equivalence takes: square-free numbers and the theorem's constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def moebius(bound: int) -> Any:
    """The Moebius function `mu(k)` for `k = 1 .. bound`: 0 where a square divides `k`, else 1 or -1
    for an even or odd number of prime factors."""
    if bound < 0:
        raise ValueError(f"bound: expected 0 or more, got {bound}")
    mu, prime = np.ones(bound + 1, np.int64), np.ones(bound + 1, bool)
    for p in range(2, bound + 1):
        if prime[p]:
            prime[2 * p :: p] = False
            mu[p::p] *= -1
            mu[p * p :: p * p] = 0
    return mu[1:]


def square_free(bound: int) -> Any:
    """The numbers up to `bound` that no square but 1 divides."""
    return np.nonzero(moebius(bound))[0] + 1


def multi_spike_neurons(bound: int) -> int:
    """`Q(N)`: multi-spike neurons for one single-spike neuron whose potential reaches up to `N`
    times its threshold."""
    return len(square_free(bound))


def share(bound: int) -> float:
    """`alpha = Q(N) / N` of the theorem; it tends to `6 / pi^2 = .608`."""
    return multi_spike_neurons(bound) / bound


def share_bound(bound: int) -> float:
    """The theorem's bound on `alpha`: `min(1, 6 / pi^2 + 1 / sqrt(N))`, and with `1 / (2 sqrt(N))`
    from `N = 8` on."""
    slack = 1 / math.sqrt(bound)
    return min(1.0, 6 / math.pi**2 + (slack / 2 if bound >= 8 else slack))
