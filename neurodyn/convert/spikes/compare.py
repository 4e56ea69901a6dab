"""Do two networks give the same spikes?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.convert.events import Events, Trains
from neurodyn.convert.events.copies import Copies
from neurodyn.convert.events.trains import Given, first_of, read_trains


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same inputs, neuron by neuron of the network that both are made of."""

    error: float
    """The largest difference of two spike times; infinite where a number of spikes differs."""
    counts: float
    """The share of neurons, over all samples, with equally many spikes."""
    first: float
    """The share whose first spikes are equal."""
    argmax: float
    """The share of samples in which the same neuron of the last layer comes first: by most spikes,
    then by the earliest one."""
    neurons: tuple[int, int]
    synapses: tuple[int, int]
    spikes: tuple[int, int]

    def __str__(self) -> str:
        rows = (
            ("neurons", *self.neurons),
            ("synapses", *self.synapses),
            ("spikes", *self.spikes),
        )
        table = "".join(f"{name:<12}{a:>12,}{b:>12,}\n" for name, a, b in rows)
        return (
            f"{'':<12}{'before':>12}{'after':>12}\n{table}"
            f"largest difference of a spike time: {self.error:.3g}\n"
            f"equal: counts {self.counts:.1%}, first spikes {self.first:.1%}, "
            f"argmax {self.argmax:.1%}"
        )


def compare(net: Events, other: Events, inputs: Given, until: float | None = None) -> Comparison:
    """Run two networks, one of which was converted from the other, on the same inputs.

    Args:
        net, other: the networks.
        inputs: spike times by line, as both take them.
        until: the last time that counts.

    Raises:
        ValueError: networks of different sizes; a bound that is too small for these inputs.
    """
    if net.sizes != other.sizes:
        raise ValueError(f"other: expected a network of {net.sizes}, got {other.sizes}")
    times, _ = read_trains(inputs, net.sizes[0])
    if not len(times):
        raise ValueError("inputs: expected at least one sample, got none")
    with torch.no_grad():
        a, b = net(times, until), other(times, until)
    left, right = merged(net, a), merged(other, b)
    pairs = list(zip(left, right, strict=True))
    same_count = [_counts(x) == _counts(y) for x, y in pairs]
    gaps = [_gap(x, y) for x, y in pairs]
    firsts = [first_of(x) == first_of(y) for x, y in pairs]
    same_class = _winner(left[-1]) == _winner(right[-1])
    return Comparison(
        error=max(gaps),
        counts=_share(same_count),
        first=_share(firsts),
        argmax=_share([same_class]),
        neurons=(net.neurons, other.neurons),
        synapses=(net.synapses, other.synapses),
        spikes=(a.spikes, b.spikes),
    )


def merged(net: Events, trains: Trains) -> tuple[Tensor, ...]:
    """The trains of the neurons that a network's neurons are copies of: spikes of copies add up
    by their signs, and those that cancel are left out.

    Returns:
        by layer, times `(samples, origins, spikes)`.
    """
    pairs = zip(trains.layers, net.copies[1:], strict=True)
    return tuple(_merge(times, copies) for times, copies in pairs)


def _merge(trains: Tensor, copies: Copies) -> Tensor:
    times = trains.detach().numpy()
    times = times if times.ndim == 3 else times[None]
    sample, copy, place = np.nonzero(np.isfinite(times))
    at = times[sample, copy, place]
    # Each train's times, and how many of its copies' spikes each stands for.
    train = sample * copies.origins + copies.origin[copy]
    order = np.lexsort((at, train))
    train, at = train[order], at[order]
    new = np.ones(len(at), bool)
    new[1:] = (train[1:] != train[:-1]) | (at[1:] != at[:-1])
    total: Any = np.zeros(new.sum(), np.int64)
    np.add.at(total, np.cumsum(new) - 1, copies.sign[copy][order])
    # A spike that cancels one that is not there counts too, as a spike too many.
    kept = np.flatnonzero(new).repeat(np.abs(total))
    train, at = train[kept], at[kept]
    each = np.bincount(train, minlength=len(times) * copies.origins)
    result = np.full((len(each), each.max(initial=0)), np.inf)
    result[train, np.arange(len(train)) - (np.cumsum(each) - each)[train]] = at
    return torch.from_numpy(result.reshape(len(times), copies.origins, -1))


def _counts(times: Tensor) -> Tensor:
    return torch.isfinite(times).sum(-1)


def _gap(x: Tensor, y: Tensor) -> float:
    if not bool((_counts(x) == _counts(y)).all()):
        return float("inf")
    there = torch.isfinite(x)
    return float((x[there] - y[there]).abs().max()) if bool(there.any()) else 0.0


def _winner(times: Tensor) -> Tensor:
    """The neuron with most spikes, then with the earliest first one, then with the lowest index."""
    counts, first = _counts(times), first_of(times)
    best = counts == counts.amax(1, keepdim=True)
    first = torch.where(best, first, torch.inf)
    return torch.argmax((best & (first == first.amin(1, keepdim=True))).int(), 1)


def _share(equal: list[Tensor]) -> float:
    return float(torch.cat([each.flatten() for each in equal]).double().mean())
