"""What the compiled loops work on: arrays with names, which Numba knows as tuples."""

from __future__ import annotations

from typing import Any, NamedTuple


class Graph(NamedTuple):
    """Neurons and synapses. An origin is an input line or a neuron of the network that was
    converted; neurons that are copies of one origin stand side by side."""

    origin: Any
    """Each neuron's origin, (neurons,)."""
    level: Any
    """Its threshold in units of `theta`, an integer."""
    sign: Any
    """What its spikes count for, an integer."""
    once: Any
    """Whether it fires at most once."""
    sentinel: Any
    """Whether its spike is an error."""
    theta: Any
    kick: Any
    """What its own spike takes from the membrane, at a reset that leaks."""
    alpha: Any
    beta: Any
    gain: Any
    first: Any
    """The neurons of origin `o` are `first[o]` to `first[o + 1]`."""
    start: Any
    """The synapses of origin `o` are `start[o]` to `start[o + 1]`, by delay."""
    target: Any
    weight: Any
    delay: Any
    lateral: bool
    """A copy's spike lifts later copies: `theta (1 - exp(-alpha s))`."""


class State(NamedTuple):
    """The neurons of one sample, each at its own last event."""

    u: Any
    current: Any
    at: Any
    """The time of that event."""
    lifts: Any
    """How many thresholds lateral edges have added for good: an integer, which rounds nothing."""
    fired: Any
    due: Any
    """When it crosses its level if nothing else arrives, or a time before that."""
    sure: Any
    """Whether it is that very time."""
    changed: Any
    """Neurons whose `due` is out of date: a list, and whether one is on it."""
    listed: Any


class Spikes(NamedTuple):
    """Spikes of several samples, by sample and time."""

    source: Any
    """The input line or the neuron."""
    time: Any
    slope: Any
    """How steeply the membrane rose."""
    nth: Any
    """How many spikes the neuron had before it."""
    start: Any
    """The spikes of sample `s` are `start[s]` to `start[s + 1]`."""
