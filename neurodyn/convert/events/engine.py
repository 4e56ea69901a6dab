"""The event-driven simulation: from one spike or arrival to the next, in exact time.

A neuron's state is its membrane and its synaptic current at its last event; `crossing` says when it
fires next if nothing else arrives. The loop takes the earliest of those times and of the arrivals,
and handles everything of that very time together, in a fixed order. So copies of a neuron, which
get the same inputs, compute the same numbers to the last bit.

Numba compiles this file; without it, it is the same Python code.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np

from neurodyn.convert.events.arrays import Graph, Spikes, State
from neurodyn.convert.events.compiled import compiled
from neurodyn.convert.events.crossing import crossing, kappa

DONE, FULL, SENTINEL, RUNAWAY = range(4)
"""How a simulation ends: at its horizon, with no room left for spikes, with a sentinel's spike, or
with a neuron that fires too often."""


CAREFUL = 1 - 1e-12
"""What a bound on a time is multiplied by, because of rounding."""


@compiled
def simulate_samples(
    graph: Graph,
    arriving: Spikes,
    until: float,
    most: int,
    first: int,
    source: Any,
    time: Any,
    slope: Any,
    nth: Any,
    spikes: Any,
    end: Any,
    about: Any,
) -> None:
    """Run the samples from `first` on: one per row of the results."""
    for k in range(len(spikes)):
        start, stop = arriving.start[first + k], arriving.start[first + k + 1]
        times, lines = arriving.time[start:stop], arriving.source[start:stop]
        spikes[k], end[k], about[k] = simulate(
            graph, times, lines, until, most, source[k], time[k], slope[k], nth[k]
        )
        if end[k] != DONE:
            return


@compiled
def simulate(
    graph: Graph,
    times: Any,
    lines: Any,
    until: float,
    most: int,
    node: Any,
    when: Any,
    slope: Any,
    nth: Any,
) -> tuple[int, int, int]:
    """Run one sample.

    Args:
        times, lines: the input spikes, by time.
        until: the horizon; a spike at that very time still counts.
        most: most spikes of one neuron.
        node, when, slope, nth: filled with the spikes, as in `Spikes`.

    Returns:
        the number of spikes; how it ended; and the neuron that this is about.
    """
    n = len(graph.theta)
    state = State(
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.full(n, math.inf),
        np.ones(n, np.bool_),
        np.empty(n, np.int64),
        np.zeros(n, np.bool_),
    )
    decay = np.array([-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    # Spikes on their way: the next arrival, its synapse, the last one, how many, when they began.
    flying = [(math.inf, 0, 0, 0, 0.0)]
    spikes = taken = 0
    while True:
        now = flying[0][0] if taken == len(times) else min(flying[0][0], times[taken])
        if n > 0:
            soonest = state.due.argmin()
            if not state.sure[soonest] and state.due[soonest] <= now:
                state.due[soonest] = _crosses(graph, state, soonest)
                state.sure[soonest] = True
                continue
            now = min(now, state.due[soonest])
        if now == math.inf or now > until:
            return spikes, DONE, 0
        changes = 0
        while taken < len(times) and times[taken] == now:
            _send(graph, flying, lines[taken], 1, now)
            taken += 1
        i = 0
        while i < n:
            if state.due[i] != now:
                i += 1
                continue
            origin, count = graph.origin[i], 0
            while i < n and graph.origin[i] == origin:  # Copies of one origin: their signs add up.
                if state.due[i] == now:
                    if graph.sentinel[i]:
                        return spikes, SENTINEL, i
                    if state.fired[i] >= most:
                        return spikes, RUNAWAY, i
                    if spikes == len(when):
                        return spikes, FULL, i
                    node[spikes], when[spikes], nth[spikes] = i, now, state.fired[i]
                    slope[spikes], changes = _fire(graph, state, i, now, changes, decay)
                    spikes, count = spikes + 1, count + graph.sign[i]
                i += 1
            _send(graph, flying, origin, count, now)
        while flying[0][0] == now:
            _, synapse, end, count, sent = heapq.heappop(flying)
            while synapse < end and sent + graph.delay[synapse] == now:
                i, weight = graph.target[synapse], graph.weight[synapse]
                # A synapse of weight 0, which is there to be learned, must not even round.
                if weight != 0.0 and not (graph.once[i] and state.fired[i] > 0):
                    _advance(graph, state, i, now, decay)
                    state.current[i] += count * weight
                    changes = _change(state, i, changes)
                synapse += 1
            if synapse < end:
                heapq.heappush(flying, (sent + graph.delay[synapse], synapse, end, count, sent))
        for c in range(changes):
            i = state.changed[c]
            state.listed[i] = False
            state.due[i] = _not_before(graph, state, i)
            state.sure[i] = state.due[i] == math.inf


@compiled
def _send(graph: Graph, flying: Any, origin: int, count: int, now: float) -> None:
    """Put an origin's spikes on their way. Copies that cancel send nothing."""
    synapse, end = graph.start[origin], graph.start[origin + 1]
    if count != 0 and synapse < end:
        heapq.heappush(flying, (now + graph.delay[synapse], synapse, end, count, now))


@compiled
def _change(state: State, i: int, changes: int) -> int:
    if state.listed[i]:
        return changes
    state.listed[i] = True
    state.changed[changes] = i
    return changes + 1


@compiled
def _advance(graph: Graph, state: State, i: int, now: float, decay: Any) -> None:
    """Bring a neuron's state to `now`. Neurons mostly wait equally long, so the last factors are
    kept."""
    s = now - state.at[i]
    if s == 0.0:
        return
    alpha, beta, gain = graph.alpha[i], graph.beta[i], graph.gain[i]
    if s != decay[0] or alpha != decay[1] or beta != decay[2] or gain != decay[3]:
        decay[0], decay[1], decay[2], decay[3] = s, alpha, beta, gain
        decay[4], decay[5] = math.exp(-alpha * s), math.exp(-beta * s)
        decay[6] = kappa(s, alpha, beta, gain)
    state.u[i] = state.u[i] * decay[4] + state.current[i] * decay[6]
    state.current[i] *= decay[5]
    state.at[i] = now


@compiled
def _fire(
    graph: Graph, state: State, i: int, now: float, changes: int, decay: Any
) -> tuple[float, int]:
    """A neuron's spike: its reset, and its lateral edges. A reset that does not leak is the next
    level alone, and leaves the state as it is: so all copies go on from the same numbers."""
    s = now - state.at[i]
    alpha, beta, gain = graph.alpha[i], graph.beta[i], graph.gain[i]
    current = state.current[i]
    u = state.u[i] * math.exp(-alpha * s) + current * kappa(s, alpha, beta, gain)
    slope = gain * current * math.exp(-beta * s) - alpha * u
    state.fired[i] += 1
    changes = _change(state, i, changes)
    if graph.kick[i] > 0.0:
        _advance(graph, state, i, now, decay)
        state.u[i] -= graph.kick[i]
    if graph.lateral:
        origin = graph.origin[i]
        for k in range(graph.first[origin], graph.first[origin + 1]):
            if graph.level[k] > graph.level[i]:
                _advance(graph, state, k, now, decay)
                state.u[k] -= graph.theta[k]
                state.lifts[k] += 1
                changes = _change(state, k, changes)
    return slope, changes


@compiled
def _level(graph: Graph, state: State, i: int) -> float:
    """The membrane at which the neuron fires next; infinite if it does not fire again."""
    levels = graph.level[i]
    if graph.once[i]:
        if state.fired[i] > 0:
            return math.inf
    elif graph.kick[i] == 0.0:
        levels *= state.fired[i] + 1
    return float((levels - state.lifts[i]) * graph.theta[i])


@compiled
def _not_before(graph: Graph, state: State, i: int) -> float:
    """A time before which the neuron does not cross its level if nothing else arrives: a rising
    membrane is concave, and so lies below its tangent. Most neurons get another spike before that,
    and the time itself need not be found."""
    level, u, current = _level(graph, state, i), state.u[i], state.current[i]
    rise = graph.gain[i] * current - graph.alpha[i] * u
    if u < level and (level == math.inf or current <= 0.0 or rise <= 0.0):
        return math.inf
    wait = (level - u) / rise * CAREFUL if u < level else 0.0
    return float(state.at[i] + wait)


@compiled
def _crosses(graph: Graph, state: State, i: int) -> float:
    """When the neuron crosses its level if nothing else arrives."""
    level = _level(graph, state, i)
    wait = crossing(
        level, state.u[i], state.current[i], graph.alpha[i], graph.beta[i], graph.gain[i]
    )
    return float(state.at[i]) + wait
