"""Batch normalisation and neuron: in one kernel, or one after the other.

    neurodyn bench norm [--rounds 9] [--threads 2]

Forward and backward of tdBN and LNM on feature maps, next to the neuron alone: medians, with all
three in turns. At the first shape one kernel does not pay, so networks do not use it there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from benchmarks._machine import machine, pin

if __name__ == "__main__":
    pin("benchmarks.norm")

import torch
from torch import Tensor, nn

from benchmarks._measure import kept_bytes
from benchmarks._results import FOLDER
from neurodyn.files import write
from neurodyn.layers import Normed, TDBatchNorm2d, normed
from neurodyn.neurons import LNM

SHAPES = [(4, 64, 24, 8, 8), (4, 128, 64, 14, 14), (4, 64, 64, 28, 28), (4, 32, 64, 32, 32)]


def measure(shape: tuple[int, ...], rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of forward and backward, and bytes kept per element, for each variant."""
    layer = Normed(TDBatchNorm2d(shape[2]), LNM())
    runs: dict[str, nn.Module] = {
        "in one kernel": layer,
        "one after the other": nn.Sequential(layer.norm, layer.neuron),
        "the neuron alone": layer.neuron,
    }
    x, weight = torch.randn(shape, requires_grad=True), torch.randn(shape)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, module in runs.items():
            x.grad = None
            start = time.perf_counter()
            module(x).backward(weight)
            times[name].append(time.perf_counter() - start)

    def kept(module: nn.Module) -> float:
        def call() -> Tensor:
            spikes: Tensor = module(x)
            return spikes

        return kept_bytes(call) / x.numel()

    # The first round compiles.
    return {n: (1e3 * statistics.median(times[n][1:]), kept(m)) for n, m in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Batch normalisation in the neuron's kernel.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    normed.SMALLEST = 0
    facts = {**machine(), "threads": str(options.threads), "rounds": str(options.rounds)}
    lines = ["# Normalisation in the kernel", "", "`neurodyn bench norm`", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [
        "",
        "| (T, B, C, H, W) | tdBN and LNM | ms | ratio | bytes kept |",
        "|---|---|---|---|---|",
    ]
    data = {}
    for shape in SHAPES:
        found = data[str(shape)] = measure(shape, options.rounds)
        base = found["in one kernel"][0]
        for name, (took, kept) in found.items():
            lines.append(f"| {shape} | {name} | {took:.2f} | {took / base:.2f} | {kept:.1f} |")
    print("\n".join(lines))
    write(FOLDER / "norm.md", "\n".join(lines) + "\n")
    write(FOLDER / "norm.json", json.dumps({"facts": facts, "cases": data}, indent=1) + "\n")


if __name__ == "__main__":
    main()
