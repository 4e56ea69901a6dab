"""Neurons over time: ours against other libraries, the plain loop and the memory's own speed.

    python -m benchmarks.neurons [--cases 0 1 2 3] [--rounds 7] [--threads 2] [--compile]

Every contender runs forward and backward on the same input with a dense gradient. All of them take
turns within a round, so that each finds the caches as the others left them, and the medians over
rounds are reported. The floor is one copy of the input for the forward pass and one of the gradient
for the backward pass, taking its turn like the others. The C library is told to keep freed memory
(the process starts itself again with that setting): otherwise page faults are measured, not code.
Libraries that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks._machine import RESULTS, machine, pin

if __name__ == "__main__":
    pin("benchmarks.neurons")

import torch
from torch import Tensor

from benchmarks._peers import Contender, peers
from neurodyn.neurons import ALIF, LIF, LNM, QIF, Neuron
from neurodyn.surrogate import ArcTan

CASES = [(4, 32, 64, 32, 32), (16, 32, 64, 16, 16), (100, 128, 512), (1000, 64, 512)]
LONG = 100
"""From this T on, loops are not handed to torch.compile: that takes minutes."""


@dataclass
class Row:
    """What was measured of one contender."""

    name: str
    first: float = 0.0
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    kept: float = 0.0

    @property
    def total(self) -> float:
        return statistics.median(self.forward) + statistics.median(self.backward)


def ours() -> list[Contender]:
    kinds: dict[str, Callable[..., Neuron]] = {
        "LIF": LIF,
        "QIF": QIF,
        "LNM, degree 3": LNM,
        "ALIF, 2 states": ALIF,
    }
    return [
        Contender(f"neurodyn {name}", lambda make=make: make(surrogate=ArcTan()), learned=True)
        for name, make in kinds.items()
    ]


def loops(compiled: bool) -> list[Contender]:
    found = [
        Contender("plain loop, LIF", lambda: LIF(surrogate=ArcTan(), backend="reference")),
        Contender("plain loop, LNM", lambda: LNM(surrogate=ArcTan(), backend="reference")),
    ]
    if compiled:
        for name, make in (("LIF", LIF), ("LNM", LNM)):
            found.append(
                Contender(
                    f"torch.compile of the loop, {name}",
                    lambda make=make: torch.compile(make(surrogate=ArcTan(), backend="reference")),
                    longest=LONG - 1,
                )
            )
    return found


def kept_bytes(call: Callable[[], Tensor], x: Tensor) -> float:
    """Bytes an element that autograd keeps for the backward pass; the same storage counts once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(storages.values()) / x.numel()


def measure(shape: tuple[int, ...], contenders: list[Contender], rounds: int) -> list[Row]:
    torch.manual_seed(0)
    x = (torch.randn(shape) * 0.8).requires_grad_()
    weight = torch.randn(shape)
    here, there = torch.empty(shape), torch.empty(shape)
    rows: list[Row] = [Row("floor: two copies")]
    running: list[tuple[Row, Contender, Any]] = []
    for contender in contenders:
        if shape[0] > contender.longest:
            continue
        row = Row(contender.name)
        try:
            start = time.perf_counter()
            model = contender.make()
            contender.call(model, x).backward(weight)
            row.first = time.perf_counter() - start
            row.kept = kept_bytes(lambda c=contender, m=model: c.call(m, x), x)
        except Exception as error:
            print(f"  {contender.name} does not run: {type(error).__name__}: {error}")
            continue
        rows.append(row)
        running.append((row, contender, model))
    # A peer that takes seconds a step is not asked as often.
    for _ in range(rounds):
        start = time.perf_counter()
        here.copy_(x.detach())
        middle = time.perf_counter()
        there.copy_(weight)
        rows[0].forward.append(middle - start)
        rows[0].backward.append(time.perf_counter() - middle)
        for row, contender, model in running:
            x.grad = None
            spikes = None
            start = time.perf_counter()
            spikes = contender.call(model, x)
            middle = time.perf_counter()
            spikes.backward(weight)
            row.forward.append(middle - start)
            row.backward.append(time.perf_counter() - middle)
            spikes = None
    return rows


def gradient_error(shape: tuple[int, ...]) -> dict[str, float]:
    """Relative RMS error of our input gradient against the plain loop in the same dtype."""
    errors = {}
    small = (shape[0], 2, *shape[2:])
    for contender in ours():
        torch.manual_seed(0)
        x = (torch.randn(small) * 0.8).requires_grad_()
        weight = torch.randn(small)
        model = contender.make()
        grads = []
        for backend in ("reference", "cpu"):
            model.backend = backend
            (grad,) = torch.autograd.grad(model(x), x, weight)
            grads.append(grad)
        errors[contender.name] = float((grads[1] - grads[0]).norm() / grads[0].norm())
    return errors


def table(shape: tuple[int, ...], rows: list[Row], errors: dict[str, float]) -> str:
    floor = rows[0].total
    best = next((row.total for row in rows if row.name == "neurodyn LNM, degree 3"), floor)
    lines = [
        f"### T={shape[0]}, step {' x '.join(map(str, shape[1:]))}",
        "",
        "| contender | forward ms | backward ms | x floor | x our LNM | kept B/element "
        "| first call s | gradient error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        error = f"{errors[row.name]:.0e}" if row.name in errors else ""
        lines.append(
            f"| {row.name} | {statistics.median(row.forward) * 1e3:.2f} "
            f"| {statistics.median(row.backward) * 1e3:.2f} | {row.total / floor:.2f} "
            f"| {row.total / best:.2f} | {row.kept:.1f} | {row.first:.2f} | {error} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    others, absent = ([], []) if options.no_peers else peers()
    facts = {**machine(), "threads": str(options.threads), "rounds": str(options.rounds)}
    parts = [
        "# Neurons over time",
        "",
        "`python -m benchmarks.neurons`; wall, medians of interleaved rounds, allocator pinned.",
        "First calls are measured with whatever the kernel cache held. Load average before: "
        f"{os.getloadavg()[0]:.2f}.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        *(f"- absent: {name}" for name in absent),
    ]
    data: dict[str, Any] = {"facts": facts, "absent": absent, "cases": {}}
    for i in options.cases:
        shape = CASES[i]
        contenders = [*ours(), *loops(options.compile), *others]
        rows = measure(shape, contenders, options.rounds)
        text = table(shape, rows, gradient_error(shape))
        print(text, flush=True)
        parts += ["", text]
        data["cases"][str(shape)] = [vars(row) for row in rows]
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "neurons.md").write_text("\n".join(parts) + "\n")
        (RESULTS / "neurons.json").write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
