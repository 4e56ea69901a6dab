"""Neurons over time: ours, other libraries, the plain loop, and the speed of memory.

    neurodyn bench neurons [--cases 0 1 2 3] [--rounds 7] [--threads 2] [--compile] [--unpinned]
    neurodyn bench neurons --device cuda [--dtype bfloat16] [--resume]
    neurodyn bench neurons --parallel [--device cuda] [--compile]

Every contender runs forward and backward on the same input with a dense gradient. In each round all
take turns, in an order drawn for the round: a contender pays for what the one before it left in the
caches, and after a copy that is most. Results are medians over rounds.
The floor is a copy of the input for the forward pass and a copy of the gradient for the backward
pass; it takes its turn like the others. The process restarts itself with a setting that makes the C
library keep freed memory, so that the others are measured without page faults. `--unpinned` leaves
the allocator as a user's process has it. Libraries that are not installed are left out and named.

On a GPU the batch is larger, so that no sequence fits into the chip's cache. Times are those
between events in its stream.

`--parallel` measures a linear neuron instead, by its kernel and with all steps at once, on small
batches of long sequences.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks._machine import UNPINNED, machine, pin

if __name__ == "__main__":
    pin("benchmarks.neurons")

import torch
from torch import Tensor

from benchmarks._measure import (
    DTYPES,
    Clock,
    add_device,
    device_facts,
    find_device,
    kept_bytes,
    wait,
)
from benchmarks._ours import compiled_loops, linear, loops, ours
from benchmarks._peers import Contender, chosen_kernels, peers
from benchmarks._results import Results, add_results
from neurodyn.neurons import Neuron

CASES = [(4, 32, 64, 32, 32), (16, 32, 64, 16, 16), (100, 128, 512), (1000, 64, 512)]
LINEAR_CASES = [(1000, 1, 64), (1000, 4, 128), (196, 100, 64)]
BATCHES = {"cpu": 1, "cuda": 8}
"""The factor on the batch of a case, by device."""
ROUNDS = {"cpu": 7, "cuda": 15}
EACH = "per neuron"
"""Stands in the names of contenders with a parameter for every neuron."""
WARM_UP = {"cpu": 0, "cuda": 2}
"""Rounds that do not count, besides the first calls."""


@dataclass
class Row:
    """The measurements of one contender."""

    name: str
    first: float = 0.0
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    kept: float = 0.0
    error: float | None = None
    differing: float | None = None

    @property
    def total(self) -> float:
        return statistics.median(self.forward) + statistics.median(self.backward)


def measure(
    shape: tuple[int, ...],
    contenders: list[Contender],
    rounds: int,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[list[Row], list[str]]:
    """The rows of a case, and why the missing ones did not run."""
    torch.manual_seed(0)
    x = (torch.randn(shape, device=device, dtype=dtype) * 0.8).requires_grad_()
    weight = torch.randn(shape, device=device, dtype=dtype)
    here, there = x.detach().clone(), weight.clone()
    floor = Row("floor: two copies")
    running: list[tuple[Row, Contender, Any]] = []
    failed: list[str] = []
    for contender in contenders:
        if shape[0] > contender.longest:
            failed.append(f"{contender.name}: would unroll {shape[0]} steps")
            continue
        try:
            running.append((*first_call(contender, x, weight), contender))
        except Exception as error:
            failed.append(f"{contender.name}: {type(error).__name__}: {error}")
        x.grad = None
    clock, warm_up = Clock(device), WARM_UP[device.type]

    def copy() -> None:
        clock.start()
        here.copy_(x.detach())
        clock.mark()
        there.copy_(weight)
        note(floor, clock)

    def run(row: Row, model: Any, contender: Contender) -> None:
        x.grad = None
        clock.start()
        spikes = contender.call(model, x)
        clock.mark()
        spikes.backward(weight)
        note(row, clock)

    turns = [copy, *(partial(run, *each) for each in running)]
    for i in range(warm_up + rounds):
        for turn in random.Random(i).sample(turns, len(turns)):
            turn()
    rows = [floor, *(row for row, _, _ in running)]
    for row in rows:
        row.forward, row.backward = row.forward[warm_up:], row.backward[warm_up:]
    return rows, failed


def first_call(contender: Contender, x: Tensor, weight: Tensor) -> tuple[Row, Any]:
    """A contender's row with the time of its first call and the bytes it keeps; its model."""
    row = Row(contender.name)
    wait(x.device)
    start = time.perf_counter()
    model = contender.make().to(x.device, x.dtype if contender.as_input else None)
    contender.call(model, x).backward(weight)
    wait(x.device)
    row.first = time.perf_counter() - start
    row.kept = kept_bytes(lambda: contender.call(model, x)) / x.numel()
    return row, model


def note(row: Row, clock: Clock) -> None:
    clock.mark()
    forward, backward = clock.seconds()
    row.forward.append(forward)
    row.backward.append(backward)


def against_float64(
    make: Callable[[], Neuron], shape: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> tuple[float, float]:
    """How far a neuron is from the plain loop in float64, on the same input.

    Rounding can move a membrane past its threshold. Such a neuron fires other spikes, and its
    gradient differs rightly. So the first number is the relative RMS error of the input's gradient
    over neurons with the same spikes, and the second is the share of the others.
    """
    torch.manual_seed(0)
    x = torch.randn(shape, device=device, dtype=dtype) * 0.8
    weight = torch.randn(shape, device=device, dtype=dtype)
    ours = make().to(device)
    true = copy.deepcopy(ours).double()
    for module in true.modules():
        if isinstance(module, Neuron):
            module.backend = "reference"
    ran = []
    for neuron, wide in ((ours, dtype), (true, torch.float64)):
        leaf = x.to(wide).requires_grad_()
        spikes = neuron(leaf)
        (grad,) = torch.autograd.grad(spikes, leaf, weight.to(wide))
        ran.append((spikes.detach().double(), grad.double()))
    (spikes, grad), (true_spikes, true_grad) = ran
    same = (spikes == true_spikes).all(0)
    error = (grad - true_grad)[:, same].norm() / true_grad[:, same].norm()
    return float(error), float(1 - same.double().mean())


def table(title: str, case: dict[str, Any]) -> str:
    rows = [Row(**row) for row in case["rows"]]
    floor = rows[0].total
    best = next((row.total for row in rows if row.name == "neurodyn LNM, degree 3"), floor)
    lines = [
        f"### {title}",
        "",
        "| contender | setting | forward ms | backward ms | x floor | x our LNM | kept B/element "
        "| first call s | gradient error | other spikes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        setting = case.get("setting", "")
        if EACH in row.name:
            setting = setting.replace("per layer", EACH)
        lines.append(
            f"| {row.name} | {setting} "
            f"| {statistics.median(row.forward) * 1e3:.2f} "
            f"| {statistics.median(row.backward) * 1e3:.2f} | {row.total / floor:.2f} "
            f"| {row.total / best:.2f} | {row.kept:.1f} | {row.first:.2f} "
            f"| {scientific(row.error)} | {scientific(row.differing)} |"
        )
    lines += ["", f"Copies move {4 * case['bytes'] / floor / 1e9:.0f} GB/s, read and written."]
    notes = ["", *(f"- {note}" for note in case["notes"])] if case["notes"] else []
    return "\n".join([*lines, *notes])


def scientific(number: float | None) -> str:
    return "" if number is None else f"{number:.0e}" if number else "0"


def heading(device: torch.device, dtype: str, more: str) -> list[str]:
    place = "events in the GPU's stream" if device.type == "cuda" else "wall"
    return [
        "# Neurons over time",
        "",
        f"`neurodyn bench neurons --device {device.type} --dtype {dtype}{more}`; {place}; medians "
        "of interleaved rounds.",
        "A neuron moves at least five sequences: input and spikes forward, input and two gradients "
        "backward. Two copies move four, so 1.25 x floor is the minimum. Sequences are "
        f"{dtype}, our states float32.",
        "First calls are wall time with empty caches of kernels. In later cases a contender reuses "
        "what it compiled for earlier ones. The first contender of the first case also pays for "
        "what all share.",
        "Gradient error: relative RMS of the input's gradient against the loop in float64, over "
        "neurons with the same spikes. Other spikes: the share of other neurons, whose membrane "
        f"rounding moved past the threshold. Load average before: {os.getloadavg()[0]:.2f}.",
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="neurodyn bench neurons", description="Neurons in time.")
    parser.add_argument("--cases", type=int, nargs="+", help="default: all")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--batches", type=int, help=f"factor on the batch; default: {BATCHES}")
    parser.add_argument("--compile", action="store_true", help="also measure torch.compile")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(UNPINNED, action="store_true", help="the allocator as a user has it")
    parser.add_argument(
        "--parallel", action="store_true", help="a linear neuron at all steps at once"
    )
    add_device(parser)
    add_results(parser)
    options = parser.parse_args(arguments)
    device, dtype = find_device(options.device), DTYPES[options.dtype]
    rounds, batches = options.rounds or ROUNDS[device.type], options.batches or BATCHES[device.type]
    torch.set_num_threads(options.threads)
    said = chosen_kernels() if device.type == "cuda" else []
    if options.parallel:
        options.no_peers, batches = True, options.batches or 1
    others, absent = ([], []) if options.no_peers else peers(device, dtype)
    facts = {**machine(), **device_facts(device)}
    facts |= {"threads": str(options.threads), "rounds": str(rounds)}
    usual = device.type == "cpu" and dtype == torch.float32
    name = "neurons-parallel" if options.parallel else "neurons"
    name = name if usual else f"{name}-{device.type}-{options.dtype}"
    name = f"{name}-unpinned" if options.unpinned else name
    allocator = "as it is" if options.unpinned or device.type == "cuda" else "pinned"
    setting = f"{options.dtype}, per layer, {options.threads} threads, allocator {allocator}"
    more = " --parallel" * options.parallel + " --unpinned" * options.unpinned
    lines = heading(device, options.dtype, more)
    results = Results(name, lines, facts, absent, table, options)
    more_loops = compiled_loops() if options.compile else []
    cases = LINEAR_CASES if options.parallel else CASES
    for i in options.cases or range(len(cases)):
        steps, batch, *features = cases[i]
        shape = (steps, batches * batch, *features)
        title = f"T={steps}, step {' x '.join(map(str, shape[1:]))}"
        if title in results:
            continue
        if options.parallel:
            own = linear(tuple(features), compiled=options.compile)
            contenders = own
        else:
            own = [*ours(tuple(features)), *loops()]
            contenders = [*own, *more_loops, *others]
        exact = {c.name: c.make for c in own if "compile" not in c.name}
        rows, notes = measure(shape, contenders, rounds, device, dtype)
        for row in rows:
            if row.name in exact:
                small = (steps, 2, *features)
                row.error, row.differing = against_float64(exact[row.name], small, device, dtype)
        case = {
            "rows": [vars(row) for row in rows],
            "setting": setting,
            "bytes": math.prod(shape) * dtype.itemsize,
            "notes": [*notes, *dict.fromkeys(said)],
        }
        said.clear()
        results.add(title, case)


if __name__ == "__main__":
    main()
