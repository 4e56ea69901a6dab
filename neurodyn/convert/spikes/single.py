"""From neurons that fire many times to neurons that fire once, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurodyn.convert.events import Events
from neurodyn.convert.events.copies import Copies

Bound = int | Sequence[Any]


def single_spike(net: Events, bound: Bound, *, lateral: bool = True) -> Events:
    """The same network from neurons that fire at most once.

    A neuron's `k`-th spike is where its potential first reaches `k` thresholds. So copy `k` of the
    neuron has `k` times its threshold and the same synapses, and fires at that time. A neuron with
    `N` spikes becomes `N` neurons. The input lines are split into lines of one spike.

    With a leaking reset, copy `k` also gets an edge of weight `theta` and kernel
    `1 - exp(-s / tau)` from each copy before it: it gives back what the resets have leaked.

    Args:
        net: the network; it is not changed, and the result shares its parameters.
        bound: the most spikes of any neuron or line; or, better, those of each,
            `net.bound(inputs, until)`. Copies that would never fire are left out. Inputs that need
            more end a simulation with an error.
        lateral: without the lateral edges (False) a leaking reset is not converted correctly.

    Raises:
        TypeError: not a network of `Events`.
        ValueError: neurons that fire once already, or silence themselves; a bound that does not
            fit.
    """
    check_events(net)
    if net.once:
        raise ValueError("net: expected neurons that fire many times; these fire once already")
    if net.autapse:
        raise ValueError(
            "net: neurons that silence themselves cannot be turned back. Take the network that "
            "they were made from"
        )
    bounds = read_bound(net, bound)
    copies = []
    for k, (population, most) in enumerate(zip(net.copies, bounds, strict=True)):
        # A line's copies are its spikes; lines are whole in networks that fire many times.
        given = population if k else Copies.plain(population.origins)
        factors = np.arange(1, most.max(initial=0) + 1)
        copies.append(given.multiplied(factors, np.ones_like(factors), most))
    lateral = lateral and net.reset == "leaky"
    return net.converted(copies, bounds, once=True, lateral=lateral)


def check_events(net: object) -> None:
    """Refuse what the theorem is not about."""
    if not isinstance(net, Events):
        raise TypeError(
            f"net: expected a network of Events, got {type(net).__name__}. Trained networks of "
            "layers are converted by unfold"
        )


def read_bound(net: Events, bound: Bound) -> tuple[Any, ...]:
    """The bound of each line and neuron of a network."""
    if isinstance(bound, int | np.integer):
        given = tuple(np.full(size, bound) for size in net.sizes)
    elif isinstance(bound, Sequence):
        given = tuple(np.asarray(each) for each in bound)
    else:
        raise TypeError(f"bound: expected a whole number, or net.bound(inputs), got {bound!r}")
    shapes = [each.shape for each in given]
    if shapes != [(size,) for size in net.sizes]:
        raise ValueError(
            f"bound: expected a number, or one number for each of {list(net.sizes)} lines and "
            f"neurons, got shapes {shapes}"
        )
    for each in given:
        if (wrong := each[~((each >= 0) & (each % 1 == 0))]).size:
            raise ValueError(f"bound: expected whole numbers, 0 or more, got {wrong[0]}")
    return tuple(each.astype(np.int64) for each in given)
