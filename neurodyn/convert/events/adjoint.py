"""Exact gradients of spike times, by the implicit function theorem.

A spike at `T` is where the membrane meets its level, `h(T) = L`. Whatever changes `h` at that time
by `dh` moves the spike by `dT = -dh / h'(T)`. So, for a synapse of weight `w` and delay `d`,

    dT/dw = -kappa(T - t - d) / h'(T)          dT/dt = dT/dd = w kappa'(T - t - d) / h'(T)

Spikes are taken from the last to the first, so that a spike's own derivative is complete before it
is handed on to the spikes that caused it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from neurodyn.convert.events.arrays import Graph, Spikes
from neurodyn.convert.events.compiled import compiled
from neurodyn.convert.events.crossing import kappa, kappa_by_rates

TOUCH = 1e-7
"""A spike whose membrane rises by less than `TOUCH * g * theta` per unit of time touches its level
rather than crosses it. The derivative grows beyond all bounds there, and is taken as zero."""


class Incoming(NamedTuple):
    """The synapses by target: those of neuron `i` are `synapse[start[i]:start[i + 1]]`."""

    start: Any
    synapse: Any
    origin: Any
    """Each synapse's origin, by synapse."""


class Gradients(NamedTuple):
    """What `pull` adds to, in the order of `Graph`."""

    theta: Any
    kick: Any
    alpha: Any
    beta: Any
    gain: Any
    weight: Any
    delay: Any
    arriving: Any
    """By input spike."""


class Firings(NamedTuple):
    """All spikes and inputs of a sample, by origin and time."""

    start: Any
    time: Any
    sign: Any
    index: Any
    """The spike's index; inputs come first."""


@compiled
def pull_samples(
    graph: Graph,
    incoming: Incoming,
    arriving: Spikes,
    fired: Spikes,
    by_time: Any,
    first: int,
    stop: int,
    rates: bool,
    grads: Gradients,
) -> None:
    """Add the gradients of the samples from `first` to before `stop`.

    Args:
        arriving, fired: the input spikes and the spikes of all samples.
        by_time: the derivative by each spike's time.
        rates: the gradients of the kernels' rates are wanted; they take longest.
        grads: what is added to.
    """
    for k in range(first, stop):
        a, b = arriving.start[k], arriving.start[k + 1]
        c, d = fired.start[k], fired.start[k + 1]
        grads.arriving[a:b] = pull(
            graph,
            incoming,
            arriving.time[a:b],
            arriving.source[a:b],
            fired.source[c:d],
            fired.time[c:d],
            fired.slope[c:d],
            fired.nth[c:d],
            by_time[c:d],
            rates,
            grads,
        )


@compiled
def pull(
    graph: Graph,
    incoming: Incoming,
    times: Any,
    lines: Any,
    node: Any,
    when: Any,
    slope: Any,
    nth: Any,
    given: Any,
    rates: bool,
    grads: Gradients,
) -> Any:
    """Add the gradients of one sample; return those by the times of its input spikes.

    Args:
        times, lines: the input spikes.
        node, when, slope, nth: the spikes, by time; `nth` counts each neuron's own from 0.
        given: the derivative by each spike's time.
        rates: the gradients of the kernels' rates are wanted.
        grads: what is added to.
    """
    inputs = len(times)
    firings = _by_origin(graph, times, lines, node, when)
    by_time = np.concatenate((np.zeros(inputs), given))
    for r in range(len(when) - 1, -1, -1):
        i = node[r]
        if by_time[inputs + r] == 0.0 or slope[r] <= 0.0:
            continue
        pulled = -by_time[inputs + r] / slope[r]
        levels = graph.level[i]
        if not graph.once[i] and graph.kick[i] == 0.0:
            levels *= nth[r] + 1
        grads.theta[i] -= pulled * levels
        _through_synapses(graph, incoming, firings, i, when[r], pulled, by_time, rates, grads)
        if graph.kick[i] > 0.0 or graph.lateral:
            _through_resets(graph, node, when, r, inputs, pulled, by_time, grads)
    return by_time[:inputs]


@compiled
def _through_synapses(
    graph: Graph,
    incoming: Incoming,
    firings: Firings,
    i: int,
    now: float,
    pulled: float,
    by_time: Any,
    rates: bool,
    grads: Gradients,
) -> None:
    """Hand a spike's derivative on to all that arrived before it."""
    alpha, beta, gain = graph.alpha[i], graph.beta[i], graph.gain[i]
    for c in range(incoming.start[i], incoming.start[i + 1]):
        synapse = incoming.synapse[c]
        origin, weight = incoming.origin[synapse], graph.weight[synapse]
        for f in range(firings.start[origin], firings.start[origin + 1]):
            s = now - (firings.time[f] + graph.delay[synapse])
            if s <= 0.0:
                break
            k = kappa(s, alpha, beta, gain)
            each = pulled * firings.sign[f]
            grads.weight[synapse] += each * k
            each *= weight
            if rates:
                by_alpha, by_beta = kappa_by_rates(s, alpha, beta, gain)
                grads.alpha[i] += each * by_alpha
                grads.beta[i] += each * by_beta
                grads.gain[i] += each * k / gain
            moved = each * (gain * math.exp(-beta * s) - alpha * k)
            grads.delay[synapse] -= moved
            by_time[firings.index[f]] -= moved


@compiled
def _through_resets(
    graph: Graph,
    node: Any,
    when: Any,
    r: int,
    inputs: int,
    pulled: float,
    by_time: Any,
    grads: Gradients,
) -> None:
    """Hand it on to the neuron's own earlier spikes, or to those of the copies before it."""
    i, alpha = node[r], graph.alpha[node[r]]
    for q in range(r):
        earlier = node[q]
        if graph.kick[i] > 0.0 and earlier == i:
            size = graph.kick[i]
        elif graph.lateral and graph.origin[earlier] == graph.origin[i]:
            size = graph.theta[i] if graph.level[earlier] < graph.level[i] else 0.0
        else:
            continue
        s = when[r] - when[q]
        kept = math.exp(-alpha * s)
        if graph.lateral:
            grads.theta[i] += pulled * (1.0 - kept) * (size > 0.0)
        else:
            grads.kick[i] -= pulled * kept
        grads.alpha[i] += pulled * size * s * kept
        by_time[inputs + q] -= pulled * size * alpha * kept


@compiled
def _by_origin(graph: Graph, times: Any, lines: Any, node: Any, when: Any) -> Firings:
    inputs, spikes = len(times), len(when)
    start = np.zeros(len(graph.start), np.int64)
    for line in lines:
        start[line + 1] += 1
    for i in node:
        start[graph.origin[i] + 1] += 1
    start = np.cumsum(start)
    place = start.copy()
    time, sign = np.empty(inputs + spikes), np.empty(inputs + spikes, np.int64)
    index = np.empty(inputs + spikes, np.int64)
    for f in range(inputs + spikes):
        if f < inputs:
            origin, t, s = lines[f], times[f], 1
        else:
            i = node[f - inputs]
            origin, t, s = graph.origin[i], when[f - inputs], graph.sign[i]
        time[place[origin]], sign[place[origin]], index[place[origin]] = t, s, f
        place[origin] += 1
    return Firings(start, time, sign, index)
