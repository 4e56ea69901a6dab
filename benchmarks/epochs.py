"""A training epoch of whole networks: with our neurons, the plain loop, and other libraries.

    neurodyn bench epochs [--steps 8] [--threads 2]

The networks are those of the recipes `digits` and `fashion-mnist`, and a spiking MLP on long
sequences (T=250) in two sizes. Rows differ in their neurons only: all other layers are ours.
Batches are random numbers in the shape of the data. All contenders take turns, and the median step
(forward, backward, AdamW) is multiplied by the number of batches in an epoch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks._machine import machine, pin

if __name__ == "__main__":
    pin("benchmarks.epochs")

import torch
from torch import Tensor, nn

from benchmarks._peers import Contender, peers
from benchmarks._results import Results, add_results
from neurodyn.models import ConvNet, NeuronFactory, SequenceNet
from neurodyn.neurons import LIF, LNM, SpikingLayer
from neurodyn.surrogate import ArcTan

PEERS = (
    "SpikingJelly LIF, multi-step",
    "SpikingJelly LIF, float32 membrane",
    "SpikingJelly parametric LIF",
    "snnTorch Leaky, unbind",
)


@dataclass
class Case:
    """A network and its data."""

    name: str
    make: Callable[[NeuronFactory], nn.Module]
    shape: tuple[int, ...]
    """The shape of a batch, time first."""
    classes: int
    samples: int


CASES = [
    Case(
        "digits: ConvNet 24-48, T=4, batch 64",
        lambda neuron: ConvNet(neuron, (1, 8, 8), 10, (24, 48)),
        (4, 64, 1, 8, 8),
        10,
        1149,
    ),
    Case(
        "Fashion-MNIST: ConvNet 32-64-128, T=4, batch 128",
        lambda neuron: ConvNet(neuron, (1, 28, 28), 10, (32, 64, 128)),
        (4, 128, 1, 28, 28),
        10,
        55_000,
    ),
    Case(
        "long sequences: MLP 140-128-128-20, T=250, batch 64",
        lambda neuron: SequenceNet(neuron, (140,), 20, (128, 128)),
        (250, 64, 140),
        20,
        8156,
    ),
    Case(
        "long sequences, small: MLP 140-64-64-20, T=250, batch 16",
        lambda neuron: SequenceNet(neuron, (140,), 20, (64, 64)),
        (250, 16, 140),
        20,
        8156,
    ),
]


class Foreign(SpikingLayer):
    """Another library's neuron as a layer of our networks."""

    def __init__(self, contender: Contender) -> None:
        super().__init__()
        self.inner, self.call = contender.make(), contender.call
        self.threshold = torch.ones(())

    def forward(self, x: Tensor, state: Any = None, *, return_state: bool = False) -> Any:
        return self.call(self.inner, x)


def neurons(device: torch.device, dtype: torch.dtype) -> tuple[dict[str, NeuronFactory], list[str]]:
    """Neurons by their names in the table, and the libraries that are absent."""
    found: dict[str, NeuronFactory] = {}
    for name, kind in (("LNM", LNM), ("LIF", LIF)):
        for backend, how in (("auto", "neurodyn"), ("reference", "plain loop,")):
            found[f"{how} {name}"] = partial(kind, surrogate=ArcTan(), backend=backend)
    contenders, absent = peers(device, dtype)
    for contender in contenders:
        if contender.name in PEERS:
            found[contender.name] = lambda _, contender=contender: Foreign(contender)
    return found, absent


class Training:
    """A network under training."""

    def __init__(self, case: Case, neuron: NeuronFactory) -> None:
        torch.manual_seed(0)
        self.network = case.make(neuron)
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        self.times: list[float] = []

    def step(self, x: Tensor, labels: Tensor) -> None:
        start = time.perf_counter()
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.network(x).mean(0), labels).backward()
        self.optimizer.step()
        self.times.append(time.perf_counter() - start)


def measure(case: Case, factories: dict[str, NeuronFactory], steps: int) -> dict[str, float]:
    """Seconds per epoch, by the name of the neuron."""
    running = {name: Training(case, neuron) for name, neuron in factories.items()}
    torch.manual_seed(1)
    x, labels = torch.randn(case.shape), torch.randint(case.classes, case.shape[1:2])
    for _ in range(steps + 1):
        for training in running.values():
            training.step(x, labels)
    batches = -(-case.samples // case.shape[1])
    # The first step compiles.
    return {name: batches * statistics.median(t.times[1:]) for name, t in running.items()}


def table(title: str, epochs: dict[str, float]) -> str:
    ours = epochs["neurodyn LNM"]
    lines = [f"### {title}", "", "| neurons | epoch s | x our LNM |", "|---|---|---|"]
    lines += [f"| {name} | {took:.2f} | {took / ours:.2f} |" for name, took in epochs.items()]
    return "\n".join(lines)


HEADING = [
    "# Training epochs",
    "",
    "`neurodyn bench epochs`; medians of interleaved steps times the batches of an epoch.",
]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="neurodyn bench epochs", description="A training epoch of whole networks."
    )
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    add_results(parser)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    factories, absent = neurons(torch.device("cpu"), torch.float32)
    facts = {**machine(), "threads": str(options.threads), "steps": str(options.steps)}
    results = Results("epochs", HEADING, facts, absent, table, options)
    for i in options.cases:
        if CASES[i].name not in results:
            results.add(CASES[i].name, measure(CASES[i], factories, options.steps))


if __name__ == "__main__":
    main()
