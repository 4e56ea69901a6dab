"""Spike times as a function that PyTorch differentiates."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from neurodyn.convert.events.adjoint import TOUCH, Gradients, pull
from neurodyn.convert.events.engine import DONE, FULL, RUNAWAY, SENTINEL, Graph, simulate
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


@dataclass(frozen=True)
class Record:
    """The spikes of one sample, by time."""

    times: Any
    lines: Any
    place: Any
    """Where each input spike stands in the input, (2, inputs)."""
    node: Any
    when: Any
    slope: Any
    nth: Any


class SpikeTimes(torch.autograd.Function):
    """Spike times `(samples, neurons, spikes)`, infinite where a neuron fired less often."""

    @staticmethod
    def forward(
        ctx: Any,
        run: Run,
        inputs: Tensor,
        *values: Tensor,
    ) -> Tensor:
        """`values` are theta, kick, alpha, beta and gain of each neuron, weight and delay of each
        synapse."""
        graph = _graph(run, values)
        records = _over_samples(lambda s: _simulate(graph, run, inputs[s], s), len(inputs))
        most = max((int(r.nth.max(initial=-1)) + 1 for r in records), default=0)
        times = torch.full((len(inputs), len(graph.theta), most), torch.inf, dtype=torch.float64)
        for s, r in enumerate(records):
            times[s, r.node, r.nth] = torch.from_numpy(r.when)
        run.touches = sum(int((r.slope <= 0).sum()) for r in records)
        ctx.graph, ctx.run, ctx.records, ctx.shape = graph, run, records, inputs.shape
        return times

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        given, graph = grads[0], ctx.graph
        by_input = torch.zeros(ctx.shape, dtype=torch.float64)

        def one(s: int) -> Gradients:
            r = ctx.records[s]
            sizes = [len(graph.theta)] * 5 + [len(graph.weight)] * 2 + [len(r.times)]
            into = Gradients(*map(np.zeros, sizes))
            each = given[s, r.node, r.nth].numpy()
            incoming = ctx.run.flat.incoming
            pull(graph, incoming, r.times, r.lines, r.node, r.when, r.slope, r.nth, each, into)
            by_input[s, r.place[0], r.place[1]] = torch.from_numpy(into.times)
            return into

        parts = _over_samples(one, len(ctx.records))
        sums = [torch.from_numpy(sum(part[k] for part in parts)) for k in range(7)]
        return (None, by_input, *sums)


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


def _simulate(graph: Graph, run: Run, inputs: Tensor, sample: int) -> Record:
    given = inputs.detach().numpy()
    place = np.stack(np.nonzero(np.isfinite(given)))
    times = given[place[0], place[1]]
    order = np.argsort(times, kind="stable")
    times, place = times[order], place[:, order]
    room = 2 * (len(times) + len(graph.theta))
    while True:
        node, when, slope = np.empty(room, np.int64), np.empty(room), np.empty(room)
        spikes, end, about = simulate(
            graph, times, place[0], run.until, run.most, node, when, slope
        )
        if end == DONE:
            break
        if end == FULL:
            room *= 4
        elif end == RUNAWAY:
            raise ValueError(
                f"sample {sample}: {run.flat.name(about)} fired {run.most} times, the most allowed."
                " Its excitation has no bound, or max_spikes is too small"
            )
        elif end == SENTINEL:
            raise BoundError(sample, about)
    node, when, slope = node[:spikes].copy(), when[:spikes].copy(), slope[:spikes].copy()
    # Touches get a slope of zero, which says that they have no derivative.
    slope[slope <= TOUCH * graph.gain[node] * graph.theta[node]] = 0.0
    return Record(times, place[0], place, node, when, slope, _count(node))


def _count(node: Any) -> Any:
    """How many of the same came before each."""
    order = np.argsort(node, kind="stable")
    start = np.concatenate([[True], np.diff(node[order]) != 0])[: len(node)]
    position = np.arange(len(node))
    nth = np.empty(len(node), np.int64)
    nth[order] = position - np.maximum.accumulate(np.where(start, position, 0))
    return nth


def _over_samples(task: Callable[[int], Result], samples: int) -> list[Result]:
    """The task for every sample; the engine lets other threads run."""
    threads = min(torch.get_num_threads(), samples)
    if threads < 2:
        return [task(s) for s in range(samples)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(task, range(samples)))
