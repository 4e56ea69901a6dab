"""A training step of ResNet-19 at T=4 on 32x32 images: our neurons, the plain loop, SpikingJelly.

    neurodyn bench resnet19 [--batch 8] [--steps 3]
    neurodyn bench resnet19 --device cuda --dtype bfloat16 --channels-last [--compile]

Loss, optimiser and number format are those of the recipe `cifar10-resnet19`. Images are random and
lie on the device. Rows differ in their neurons only. All networks take turns, and results are
medians. The time of an epoch is that of a step, times the number of batches in the recipe's
training images; loading and validation come on top. Each setting is a case of its own.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks._machine import machine, pin

if __name__ == "__main__":
    pin("benchmarks.resnet19")

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
from benchmarks._results import Results, add_results
from benchmarks.epochs import neurons
from neurodyn.layers import TETLoss, repeat
from neurodyn.models import NeuronFactory, ResNet19
from neurodyn.training.optim import OptimConfig, make_optimizer

T, CLASSES = 4, 10
TRAINING, EPOCHS = 49_000, 300
"""Images and epochs of the recipe: CIFAR-10 without 2 % for validation."""
BATCH = {"cpu": 8, "cuda": 128}
STEPS = {"cpu": 3, "cuda": 10}
MODES = ("default", "reduce-overhead", "max-autotune")
OPTIM = OptimConfig(name="sgd", lr=0.1, weight_decay=5e-4, dynamics_lr=0.1)


@dataclass
class Row:
    """The measurements of one network. Bytes are those of a step with the whole batch."""

    name: str
    first: float = 0.0
    times: list[float] = field(default_factory=list)
    kept: int = 0
    peak: int | None = None


class Training:
    """A network in training, with the settings of the recipe."""

    def __init__(self, name: str, neuron: NeuronFactory, options: argparse.Namespace) -> None:
        self.row = Row(name)
        self.device, self.dtype = torch.device(options.device), DTYPES[options.dtype]
        torch.manual_seed(0)
        network = ResNet19(neuron, classes=CLASSES, width=options.width).to(self.device)
        if options.channels_last:
            network = network.to(memory_format=torch.channels_last)
        self.network = network
        forward = network.forward
        self.run = torch.compile(forward, mode=options.compile) if options.compile else forward
        self.criterion = TETLoss(weight=0.05)
        self.optimizer = make_optimizer(network, OPTIM)
        self.clock = Clock(self.device)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        mixed = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=mixed):
            loss: Tensor = self.criterion(self.run(repeat(images, T)), labels)
        return loss

    def step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def first_step(self, images: Tensor, labels: Tensor) -> None:
        """Take the first step, which compiles; then measure memory."""
        wait(self.device)
        start = time.perf_counter()
        self.step(images, labels)
        wait(self.device)
        self.row.first = time.perf_counter() - start
        weights = self.network.parameters()
        self.row.kept = kept_bytes(lambda: self.loss(images, labels), weights)
        if self.device.type == "cuda":
            held = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.step(images, labels)
            # The peak of this network alone, without the weights of the others.
            self.row.peak = torch.cuda.max_memory_allocated() - held + self.own_bytes()

    def own_bytes(self) -> int:
        """Bytes that stay between steps: weights, statistics and the state of the optimiser."""
        state = [v for entry in self.optimizer.state.values() for v in entry.values()]
        tensors = [*self.network.parameters(), *self.network.buffers(), *state]
        return sum(t.nbytes for t in tensors if isinstance(t, Tensor))

    def timed_step(self, images: Tensor, labels: Tensor) -> None:
        self.clock.start()
        self.step(images, labels)
        self.clock.mark()
        self.row.times += self.clock.seconds()


def measure(
    factories: dict[str, NeuronFactory], options: argparse.Namespace
) -> tuple[list[Row], list[str]]:
    """The rows of a setting, and why the missing ones did not run."""
    torch.manual_seed(1)
    images = torch.randn(options.batch, 3, 32, 32, device=options.device)
    labels = torch.randint(CLASSES, (options.batch,), device=options.device)
    running: list[Training] = []
    failed: list[str] = []
    for name, neuron in factories.items():
        try:
            training = Training(name, neuron, options)
            training.first_step(images, labels)
            running.append(training)
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    for _ in range(options.steps):
        for training in running:
            training.timed_step(images, labels)
    return [training.row for training in running], failed


def title_of(options: argparse.Namespace) -> str:
    parts = [f"batch {options.batch}", options.dtype]
    parts += [f"width {options.width:g}"] if options.width != 1 else []
    parts += ["channels last"] if options.channels_last else []
    parts += [f"torch.compile {options.compile}"] if options.compile else []
    return ", ".join(parts)


def table(title: str, case: dict[str, Any]) -> str:
    rows = [Row(**row) for row in case["rows"]]
    took = {row.name: statistics.median(row.times) for row in rows}
    ours, batch = took.get("neurodyn LNM"), case["batch"]
    lines = [
        f"### {title}",
        "",
        "| neurons | step ms | images/s | x our LNM | peak GiB | kept MiB/image | first step s "
        f"| epoch s | {EPOCHS} epochs h |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        step = took[row.name]
        epoch = -(-TRAINING // batch) * step
        ratio = f"{step / ours:.2f}" if ours else ""
        peak = "" if row.peak is None else f"{row.peak / 2**30:.2f}"
        lines.append(
            f"| {row.name} | {1e3 * step:.1f} | {batch / step:.1f} | {ratio} | {peak} "
            f"| {row.kept / batch / 2**20:.2f} | {row.first:.1f} | {epoch:.1f} "
            f"| {EPOCHS * epoch / 3600:.1f} |"
        )
    notes = ["", *(f"- {note}" for note in case["notes"])] if case["notes"] else []
    return "\n".join([*lines, *notes])


HEADING = [
    "# A training step of ResNet-19",
    "",
    f"`neurodyn bench resnet19`; T={T}, 32x32 images; medians of interleaved steps of forward, "
    "backward and SGD.",
    f"An epoch is {TRAINING} images of the recipe `cifar10-resnet19` at the speed of the step; "
    "loading, augmentation and validation come on top.",
    "Kept: bytes kept for the backward pass, without weights. Peak: memory that PyTorch allocates "
    "for one network with its weights and optimiser, on GPUs only. With torch.compile our neurons "
    "are the plain loop, which then has no row of its own.",
]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="neurodyn bench resnet19", description="A training step of ResNet-19."
    )
    parser.add_argument("--batch", type=int, help=f"default: {BATCH}")
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the number of channels")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", nargs="?", const="default", choices=MODES)
    add_device(parser)
    add_results(parser)
    options = parser.parse_args(arguments)
    device = find_device(options.device)
    options.batch = options.batch or BATCH[device.type]
    options.steps = options.steps or STEPS[device.type]
    torch.set_num_threads(options.threads)
    if options.compile:
        # One function is compiled again for each network.
        torch._dynamo.config.recompile_limit = 64
    factories, absent = neurons(device, DTYPES[options.dtype])
    # Compiled, our neurons are the plain loop: Inductor fuses short ones with their neighbours.
    others = ("snnTorch", "plain loop") if options.compile else ("snnTorch",)
    factories = {name: make for name, make in factories.items() if not name.startswith(others)}
    facts = {**machine(), **device_facts(device)}
    facts |= {"threads": str(options.threads), "steps": str(options.steps)}
    results = Results(f"resnet19-{device.type}", HEADING, facts, absent, table, options)
    title = title_of(options)
    if title not in results:
        rows, notes = measure(factories, options)
        case = {"batch": options.batch, "rows": [vars(row) for row in rows], "notes": notes}
        results.add(title, case)


if __name__ == "__main__":
    main()
