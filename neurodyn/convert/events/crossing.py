"""The membrane between two events, and the first time at which it reaches a level.

All kernels are one family, with the rates `alpha` (membrane) and `beta` (synapse) and a gain `g`:

    kappa(s) = g (exp(-alpha s) - exp(-beta s)) / (beta - alpha)

    LIF   alpha = 1/tau  beta = 1/tau_syn  g = 1/tau_syn
    nLIF  alpha = 0      beta = 1/tau_syn  g = 1/tau_syn
    ReLU  alpha = 0      beta = 0          g = 1

Between events the membrane `u` and the synaptic current `I` follow in closed form:

    u(s) = u exp(-alpha s) + I kappa(s)        I(s) = I exp(-beta s)

A positive level is only ever reached where `I > 0` and `u` rises, and there `u` is concave and has
one maximum, which is known in closed form. So Newton's method from the left never passes the root,
and no crossing can be missed. `alpha = beta` needs no case of its own.

Numba compiles this file; without it, it is the same Python code.
"""

from __future__ import annotations

import math

from neurodyn.convert.events.compiled import compiled

_SERIES = 0.02
_STEPS = 200


@compiled
def phi(x: float) -> float:
    """`(1 - exp(-x)) / x`, and 1 at 0."""
    return 1.0 if x == 0.0 else -math.expm1(-x) / x


@compiled
def phi_slope(x: float) -> float:
    """The derivative of `phi`; a series near 0, where the quotient loses its digits."""
    if abs(x) < _SERIES:
        return -1 / 2 + x * (1 / 3 - x * (1 / 8 - x * (1 / 30 - x * (1 / 144 - x / 840))))
    return ((1.0 + x) * math.exp(-x) - 1.0) / (x * x)


@compiled
def kappa(s: float, alpha: float, beta: float, gain: float) -> float:
    """The kernel: the membrane `s` after one input spike of weight 1."""
    # In terms of the slower rate neither factor can overflow.
    return gain * s * math.exp(-min(alpha, beta) * s) * phi(abs(beta - alpha) * s)


@compiled
def kappa_by_rates(s: float, alpha: float, beta: float, gain: float) -> tuple[float, float]:
    """The kernel's derivatives by `alpha` and by `beta`."""
    slow = gain * s * s * math.exp(-min(alpha, beta) * s)
    x = abs(beta - alpha) * s
    by_fast = slow * phi_slope(x)
    by_slow = -slow * phi(x) - by_fast
    return (by_slow, by_fast) if alpha <= beta else (by_fast, by_slow)


@compiled
def peak(u: float, current: float, alpha: float, beta: float, gain: float) -> tuple[float, float]:
    """When the rising membrane is at its maximum, and the maximum.

    The time is infinite where the membrane rises for ever; then the maximum is the limit, which is
    not reached. `(0, u)` for a membrane that falls, or that stays below zero.
    """
    drive = gain * current
    rise, both = drive - alpha * u, (beta - alpha) * u + drive
    if not (current > 0.0 and rise > 0.0 and both > 0.0):
        return 0.0, u
    if alpha == 0.0:
        return math.inf, (u + drive / beta if beta > 0.0 else math.inf)
    y = rise / (alpha * both)
    delta = beta - alpha
    s = y if delta == 0.0 else math.log1p(delta * y) / delta
    return s, drive * math.exp(-beta * s) / alpha


@compiled
def crossing(
    level: float, u: float, current: float, alpha: float, beta: float, gain: float
) -> float:
    """The first `s >= 0` with `u(s) >= level > 0`, or infinity. A tangent touch is a crossing."""
    if u >= level:
        return 0.0
    if current <= 0.0:
        return math.inf
    latest, highest = peak(u, current, alpha, beta, gain)
    if highest < level or latest == 0.0 or (highest == level and latest == math.inf):
        return math.inf
    if alpha == 0.0:
        need = (level - u) / (gain * current)
        return need if beta == 0.0 else -math.log1p(-beta * need) / beta
    s = 0.0
    for _ in range(_STEPS):
        v = u * math.exp(-alpha * s) + current * kappa(s, alpha, beta, gain)
        rise = gain * current * math.exp(-beta * s) - alpha * v
        if rise <= 0.0:
            break
        following = min(s + (level - v) / rise, latest)
        if following <= s:
            break
        s = following
    return s
