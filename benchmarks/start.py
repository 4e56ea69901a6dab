"""How long a process waits for its first result.

    neurodyn bench start [--rounds 5]

Forward and backward of a neuron in a fresh process, after `import torch`, without and with a cache
of kernels. Next to it: the import of neurodyn alone, and a second call.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks._machine import machine
from benchmarks._results import FOLDER
from neurodyn.files import write

NEURONS = ("LIF", "LNM", "ALIF", "MultiTimescale")
SCRIPT = """
import sys, time, torch
x = torch.randn(4, 32, 100, requires_grad=True)
start = time.perf_counter()
from neurodyn import neurons
imported = time.perf_counter()
neuron = getattr(neurons, sys.argv[1])()
neuron(x).sum().backward()
first = time.perf_counter()
neuron(x).sum().backward()
print(imported - start, first - start, time.perf_counter() - first)
"""


def seconds(neuron: str, cache: str) -> list[float]:
    """Seconds of the import, of the first result with the import, and of the second."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, neuron],
        env={**os.environ, "NEURODYN_CACHE": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(number) for number in run.stdout.split()]


def measure(neuron: str, rounds: int) -> dict[str, float]:
    """Medians over fresh processes."""
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(seconds(neuron, cache))
            warm.append(seconds(neuron, cache))
    imported, warm_first, second = (statistics.median(column) for column in zip(*warm, strict=True))
    cold_first = statistics.median(run[1] for run in cold)
    return {"import": imported, "cold": cold_first, "warm": warm_first, "second": second}


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds to the first result.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    facts = {**machine(), "rounds": str(options.rounds)}
    lines = [
        "# Seconds to the first result",
        "",
        "`neurodyn bench start`; forward and backward in a fresh process, after `import torch` and "
        "with `import neurodyn`.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [
        "",
        "| neuron | import alone | no cache | cache | second call |",
        "|---|---|---|---|---|",
    ]
    data = {name: measure(name, options.rounds) for name in NEURONS}
    lines += [
        f"| {name} | {t['import']:.2f} | {t['cold']:.2f} | {t['warm']:.2f} | {t['second']:.4f} |"
        for name, t in data.items()
    ]
    print("\n".join(lines))
    write(FOLDER / "start.md", "\n".join(lines) + "\n")
    write(FOLDER / "start.json", json.dumps({"machine": facts, "seconds": data}, indent=1))


if __name__ == "__main__":
    main()
