"""From neurons that fire once to neurons that fire many times, exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodyn.convert.events import Events
from neurodyn.convert.spikes.single import Bound, check_events, read_bound
from neurodyn.convert.spikes.theory import moebius, square_free

LONGEST = 600
"""Membrane time constants over which an autapse can silence a neuron: `exp(709)` overflows."""


def multi_spike(net: Events, bound: Bound, *, until: float | None = None) -> Events:
    """The same network from neurons that may fire many times.

    Let `F_k` be the spike train of a neuron with `k` times the threshold: it has a spike where the
    potential first reaches `k, 2k, 3k, ...` thresholds. Moebius inversion keeps the first alone:

        sum over k = 1 .. N of mu(k) F_k  =  the first spike

    So a neuron becomes one neuron for each square-free `k <= N`, with `k` times its threshold and
    `mu(k)` times its outgoing weights. All other spikes cancel in pairs of the same time.

    With a leaking reset there are no such trains. There, one neuron with an inhibitory synapse on
    itself that silences it until the end does it: of strength `exp(until / tau) sup h`.

    Args:
        net: the network; it is not changed, and the result shares its parameters.
        bound: how many thresholds any potential reaches; or, better, those of each neuron,
            `net.bound(inputs, until)`. Inputs that need more end a simulation with an error.
        until: with a leaking reset, the last time that counts.

    Raises:
        TypeError: not a network of `Events`.
        ValueError: neurons that fire many times already; a bound that does not fit; a leaking reset
            without `until`, or with neurons that are copies.
    """
    check_events(net)
    if not net.once:
        raise ValueError("net: expected neurons that fire once; these fire many times already")
    bounds = read_bound(net, bound)
    # Input lines stay as they are.
    lines = (np.maximum(bounds[0], net.copies[0].per_origin), *bounds[1:])
    if net.reset == "leaky":
        return _silenced(net, lines, until)
    copies = [net.copies[0]]
    for population, most in zip(net.copies[1:], bounds[1:], strict=True):
        factors = square_free(most.max(initial=0))
        signs = moebius(most.max(initial=0))[factors - 1]
        copies.append(population.multiplied(factors, signs, most))
    return net.converted(copies, lines, once=False)


def _silenced(net: Events, bounds: tuple[Any, ...], until: float | None) -> Events:
    if any((copies.level != 1).any() for copies in net.copies[1:]):
        raise ValueError(
            "net: copies with lateral edges cannot be turned back. Take the network that they were "
            "made from"
        )
    if until is None:
        raise ValueError("until: with a leaking reset, expected the last time that counts")
    fastest = max(float(kernel.rates()[0].detach().max()) for kernel in net.each_kernel)
    highest = 1 + max(most.max(initial=0) for most in bounds[1:])
    if not 0 <= fastest * until <= LONGEST:
        raise ValueError(
            f"until: expected a time from 0 to {LONGEST / fastest:g}, {LONGEST} time constants "
            f"(longer inhibition is no float64), got {until}"
        )
    strength = highest * math.exp(fastest * until)
    return net.converted(net.copies, bounds, once=False, autapse=strength)
