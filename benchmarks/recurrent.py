"""Layers whose spikes come back through weights: by their kernel, by the plain loop, bare products.

    neurodyn bench recurrent [--rounds 15] [--threads 2]

Forward and backward on the same input: medians, with all in turns. The floor is the layer's matrix
products in PyTorch and nothing else: one per step forward, one per step backward, and one over all
steps for the gradient of the weights. The gated cells' weights of the input are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks._machine import machine, pin

if __name__ == "__main__":
    pin("benchmarks.recurrent")

import torch
from torch import Tensor

from benchmarks._results import FOLDER
from neurodyn.files import write
from neurodyn.layers import CSGRU, GatedCell, Recurrent, SpikGRU, SpikGRU2
from neurodyn.neurons import AdLIF, DecayLIF, NeuronFactory, Planar
from neurodyn.scan import scan

Run = Callable[[Tensor], object]
CASES = {
    "RLIF": (DecayLIF, 250, 32, 128),
    "RadLIF": (AdLIF, 250, 32, 128),
    "recurrent Planar": (Planar, 1301, 8, 28),
    "SpikGRU": (SpikGRU, 100, 64, 256),
    "SpikGRU2": (SpikGRU2, 100, 64, 256),
    "CS-GRU": (CSGRU, 100, 64, 256),
}
"""By name: a neuron or a gated cell, T, B, F."""
RATE = 0.2
"""Spikes per step in the bare products, whose time does not depend on it."""


def recurrent(neuron: NeuronFactory, features: int) -> Callable[[str], Run]:
    """The layer around a neuron, by backend."""
    layer = Recurrent(features, neuron=partial(neuron, per="neuron"))

    def of(backend: str) -> Run:
        def run(x: Tensor) -> None:
            layer.neuron.backend = backend
            spikes = layer(x)
            spikes.backward(torch.ones_like(spikes))

        return run

    return of


def gated(cell: GatedCell) -> Callable[[str], Run]:
    """A dense cell behind its weights of the input, by backend."""

    def of(backend: str) -> Run:
        def run(x: Tensor) -> None:
            inputs, feedback, onward = cell.linked(cell.signals(x))
            state = (x.new_zeros(1),) * 3
            (spikes,), _, _ = scan(
                cell, inputs, state, feedback=feedback, onward=onward, backend=backend
            )
            spikes.backward(torch.ones_like(spikes))

        return run

    return of


def products(steps: int, batch: int, features: int, kernels: int, onward: bool) -> Run:
    """The matrix products of a layer with so many kernels of the spikes."""
    sides = [(features, kernels * features)] + [(features, features)] * onward
    matrices = [torch.randn(side) for side in sides]
    spikes = [(torch.rand(steps, batch, rows) < RATE).float() for rows, _ in sides]
    inputs = [torch.randn(steps, batch, columns) for _, columns in sides]

    def run(_: Tensor) -> None:
        together = list(zip(matrices, spikes, inputs, strict=True))
        for t in range(steps):
            for V, s, x in together:
                torch.addmm(x[t], s[t], V)
        for t in reversed(range(steps)):
            for V, _, g in together:
                torch.mm(g[t], V.t())
        for _, s, g in together:
            torch.mm(s.flatten(0, 1).t(), g.flatten(0, 1))

    return run


def measure(
    kind: type, steps: int, batch: int, features: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of forward and backward, of each variant and in each round."""
    inputs, kernels, onward = 1, 1, False
    if issubclass(kind, GatedCell):
        inputs, kernels, onward = kind.from_input, kind.from_spikes, bool(kind.analog)
        layer = gated(kind(features, features, threshold=0.3))
    else:
        layer = recurrent(kind, features)
    x = torch.randn(steps, batch, inputs * features, requires_grad=True)
    runs = {
        "its matrix products": products(steps, batch, features, kernels, onward),
        "kernel": layer("cpu"),
        "plain loop": layer("reference"),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            x.grad = None
            start = time.perf_counter()
            run(x)
            times[name].append(time.perf_counter() - start)
    return {name: took[1:] for name, took in times.items()}  # The first round compiles.


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Spikes that come back through weights.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    facts = {**machine(), "threads": str(options.threads), "rounds": str(options.rounds)}
    facts["load average before"] = f"{os.getloadavg()[0]:.2f}"
    lines = ["# Recurrence in the kernel", "", "`neurodyn bench recurrent`, float32", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| layer | (T, B, F) | by | ms | x its products |", "|---|---|---|---|---|"]
    data = {}
    for name, (kind, *shape) in CASES.items():
        found = data[name] = measure(kind, *shape, options.rounds)
        middle = {variant: 1e3 * statistics.median(took) for variant, took in found.items()}
        floor = middle["its matrix products"]
        for variant, took in middle.items():
            row = (name, tuple(shape), variant, f"{took:.2f}", f"{took / floor:.2f}")
            lines.append(f"| {' | '.join(map(str, row))} |")
    print("\n".join(lines))
    write(options.out / "recurrent.md", "\n".join(lines) + "\n")
    write(options.out / "recurrent.json", json.dumps({"facts": facts, "cases": data}) + "\n")


if __name__ == "__main__":
    main()
