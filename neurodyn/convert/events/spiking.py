"""Spike times as a function that PyTorch differentiates."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from neurodyn.convert.events.adjoint import TOUCH, Gradients, pull_samples
from neurodyn.convert.events.arrays import Graph, Spikes
from neurodyn.convert.events.engine import DONE, FULL, RUNAWAY, simulate_samples
from neurodyn.convert.events.graph import Flat

Result = TypeVar("Result")


@dataclass
class Run:
    """How to run a network, and then what a run has told besides the times."""

    flat: Flat
    lateral: bool
    until: float
    most: int
    touches: int = 0


class BoundError(Exception):
    """A neuron of a converted network reached a level that it was not made for."""

    def __init__(self, sample: int, neuron: int) -> None:
        super().__init__(sample, neuron)
        self.sample, self.neuron = sample, neuron


class SpikeTimes(torch.autograd.Function):
    """Spike times `(samples, neurons, spikes)`, infinite where a neuron fired less often."""

    @staticmethod
    def forward(ctx: Any, run: Run, inputs: Tensor, *values: Tensor) -> Tensor:
        """`values` are theta, kick, alpha, beta and gain of each neuron, weight and delay of each
        synapse."""
        graph, samples = _graph(run, values), len(inputs)
        given = inputs.detach().numpy()
        place = np.nonzero(np.isfinite(given))
        order = np.lexsort((given[place], place[0]))
        place = tuple(each[order] for each in place)
        arriving = Spikes(place[1], given[place], *_none(place[0]), _starts(place[0], samples))
        parts = _over(samples, lambda some: _simulate(graph, run, arriving, some))
        fired = Spikes(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        # Each part starts at 0.
        sizes: Any = np.concatenate([np.diff(part.start) for part in parts])
        fired = fired._replace(start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        # A touch has no derivative; a slope of zero says so.
        touch = fired.slope <= TOUCH * graph.gain[fired.source] * graph.theta[fired.source]
        fired.slope[touch] = 0.0
        run.touches = int(touch.sum())
        where = (_samples(fired.start), fired.source, fired.nth)
        most = int(fired.nth.max(initial=-1)) + 1
        times = np.full((samples, len(graph.theta), most), np.inf)
        times[where] = fired.time
        ctx.graph, ctx.incoming, ctx.shape = graph, run.flat.incoming, inputs.shape
        ctx.arriving, ctx.place, ctx.fired, ctx.where = arriving, place, fired, where
        return torch.from_numpy(times)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        graph, by_time = ctx.graph, grads[0].numpy()[ctx.where]
        by_arrival = np.zeros(len(ctx.arriving.time))
        rates = any(ctx.needs_input_grad[4:7])  # alpha, beta and gain

        def one(some: range) -> Gradients:
            sizes = [len(graph.theta)] * 5 + [len(graph.weight)] * 2
            into = Gradients._make([*map(np.zeros, sizes), by_arrival])
            pull_samples(
                graph, ctx.incoming, ctx.arriving, ctx.fired, by_time,
                some.start, some.stop, rates, into,
            )  # fmt: skip
            return into

        parts = _over(ctx.shape[0], one)
        by_input = np.zeros(ctx.shape)
        by_input[ctx.place] = by_arrival
        sums = [torch.from_numpy(sum(part[k] for part in parts)) for k in range(7)]
        return (None, torch.from_numpy(by_input), *sums)


def _graph(run: Run, values: tuple[Tensor, ...]) -> Graph:
    flat = run.flat
    theta, kick, alpha, beta, gain, weight, delay = (v.detach().numpy() for v in values)
    return Graph(
        flat.origin,
        flat.level,
        flat.sign,
        flat.once,
        flat.sentinel,
        theta,
        kick,
        alpha,
        beta,
        gain,
        flat.first,
        flat.start,
        flat.target,
        weight,
        delay,
        run.lateral,
    )


def _simulate(graph: Graph, run: Run, arriving: Spikes, some: range) -> Spikes:
    """The spikes of some of the samples."""
    most = np.diff(arriving.start).max(initial=0) + len(graph.theta)
    room = 2 * int(most)
    while True:
        shape = (len(some), room)
        source, nth = np.empty(shape, np.int64), np.empty(shape, np.int64)
        when, slope = np.empty(shape), np.empty(shape)
        spikes, end, about = (np.zeros(len(some), np.int64) for _ in range(3))
        simulate_samples(
            graph, arriving, run.until, run.most, some.start, source, when, slope, nth,
            spikes, end, about,
        )  # fmt: skip
        wrong = np.nonzero(end != DONE)[0]
        if not len(wrong):
            break
        sample, neuron = some[int(wrong[0])], int(about[wrong[0]])
        if end[wrong[0]] == FULL:
            room *= 4
        elif end[wrong[0]] == RUNAWAY:
            raise ValueError(
                f"sample {sample}: {run.flat.name(neuron)} fired {run.most} times, the most allowed"
                ". Its excitation has no bound, or max_spikes is too small"
            )
        else:
            raise BoundError(sample, neuron)
    used = np.arange(room) < spikes[:, None]
    start = np.concatenate([[0], np.cumsum(spikes)])
    return Spikes(source[used], when[used], slope[used], nth[used], start)


def _none(like: Any) -> tuple[Any, Any]:
    return np.zeros(len(like)), np.zeros(len(like), np.int64)


def _starts(sample: Any, samples: int) -> Any:
    return np.searchsorted(sample, np.arange(samples + 1)).astype(np.int64)


def _samples(start: Any) -> Any:
    """The sample of each spike."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


def _over(samples: int, task: Callable[[range], Result]) -> list[Result]:
    """The task for all samples, shared out over PyTorch's number of threads."""
    threads = max(1, min(torch.get_num_threads(), samples))
    edges = [samples * k // threads for k in range(threads + 1)]
    parts = [range(a, b) for a, b in pairwise(edges)]
    if threads == 1:
        return [task(parts[0])]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(task, parts))
