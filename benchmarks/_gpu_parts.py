"""The parts of `neurodyn bench gpu`, each run as a process: `python -m benchmarks._gpu_parts NAME`.

A part writes its cases to a file after each of them. Those that are there already are not measured
again. It marks its end.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._machine import machine
from benchmarks._measure import DTYPES, Clock, device_facts
from neurodyn.files import cache_dir, write
from neurodyn.neurons import ALIF, LIF, LNM, QIF, MultiTimescale, Neuron
from neurodyn.surrogate import ArcTan

MAIN = "LIF or LNM or QIF or MultiTimescale"
LENGTHS, ELEMENTS, MOST = (4, 16, 100, 1000), 1 << 24, 1 << 29
"""Steps; elements of a step, and of a sequence at most."""
MAPS = (64, 32, 32)
ROUNDS, WARM_UP = 10, 3
TRAINING = ("lightning", "jsonargparse", "torchmetrics", "kornia", "yaml", "filelock")
"""What `neurodyn compare` imports; the data sets are there, so nothing is downloaded."""

Case = dict[str, Any]


class Part:
    """A part at work: its cases, and the time that is left."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name, self.out, self.data, self.dry = name, options.out, options.data, options.dry_run
        self.end = time.monotonic() + options.seconds
        self.device = torch.device("cpu" if self.dry else "cuda")
        self.path = self.out / f"{name}.json"
        self.found: dict[str, Any] = {"facts": {}, "cases": {}}
        if self.path.is_file():
            self.found = json.loads(self.path.read_text())
        self.found["facts"] = {**machine(), **device_facts(self.device)}

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def case(self, title: str, measure: Callable[[], Case]) -> Case:
        """Measure a case, unless it is there; a failure is its result."""
        cases: dict[str, Case] = self.found["cases"]
        if title not in cases or "error" in cases[title]:
            try:
                cases[title] = measure()
            except Exception as error:
                cases[title] = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(f"{self.name}: {title}: {cases[title]}", flush=True)
            self.write()
        return cases[title]

    def write(self, *, ended: bool = False) -> None:
        self.found["ended"] = ended
        self.path.write_text(json.dumps(self.found, indent=1) + "\n")


def contract(part: Part) -> None:
    """The contract table, the main neurons first; and a captured step."""
    test = "test_gpu_interpreted" if part.dry else "test_gpu"
    table = "tests/scan/test_contract.py"
    selections = {
        "main neurons": [table, "-k", f"{test} and ({'LIF-0' if part.dry else MAIN})"],
        "capture": ["tests/scan/gpu/test_capture.py"],
        "other neurons": [table, "-k", f"{test} and ({'IF-1' if part.dry else f'not ({MAIN})'})"],
    }
    for title, selection in selections.items():
        part.case(title, partial(tested, part, selection))


def tested(part: Part, selection: list[str]) -> Case:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, *selection], capture_output=True, text=True)
    with (part.out / "contract.log").open("a") as log:
        log.write(run.stdout + run.stderr)
    counts = dict(map(reversed, re.findall(r"(\d+) (passed|failed|error|skipped)", run.stdout)))
    failed = re.findall(r"^FAILED (\S+)", run.stdout, re.MULTILINE)
    if not counts:
        raise RuntimeError(f"pytest: {(run.stdout + run.stderr)[-200:]}")
    return {**counts, **({"which": failed[:20]} if failed else {})}


def makers(features: tuple[int, ...]) -> dict[str, Callable[[], Neuron]]:
    """The neurons of the table."""
    kinds: dict[str, Callable[..., Neuron]] = {
        "LIF": LIF, "QIF": QIF, "LNM": LNM, "MultiTimescale": MultiTimescale,
        "LNM per channel": partial(LNM, features, per="channel"),
    }  # fmt: skip
    return {name: partial(make, surrogate=ArcTan()) for name, make in kinds.items()}


def shapes(part: Part) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Sequences of feature maps, and one of few elements and many steps."""
    for steps in (4, 16) if part.dry else LENGTHS:
        elements = 64 if part.dry else min(ELEMENTS, MOST // steps)
        features = (2, 2, 2) if part.dry else MAPS
        batch = elements // (features[0] * features[1] * features[2])
        yield f"T={steps}", (steps, batch, *features)
    yield "T=1000, B=128, N=512", (10, 2, 4) if part.dry else (1000, 128, 512)


def sequence(shape: tuple[int, ...], part: Part, dtype: torch.dtype) -> Tensor:
    """Random input; feature maps with the channels last."""
    if len(shape) == 5:
        steps, batch, channels, *space = shape
        plain = torch.randn(steps, batch, *space, channels, device=part.device, dtype=dtype)
        return plain.mul_(0.8).movedim(-1, 2)
    return torch.randn(shape, device=part.device, dtype=dtype).mul_(0.8)


def timed(part: Part, call: Callable[[Clock], Any]) -> list[float]:
    """Medians of the times between marks."""
    clock, found = Clock(part.device), []
    for _ in range(1 if part.dry else WARM_UP + ROUNDS):
        clock.start()
        call(clock)
        clock.mark()
        found.append(clock.seconds())
    rounds = found[-ROUNDS:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def pass_times(part: Part, run: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor) -> list[float]:
    """Seconds of the forward and of the backward pass."""
    leaf = x.detach().requires_grad_()

    def call(clock: Clock) -> None:
        leaf.grad = None
        y = run(leaf)
        clock.mark()
        y.backward(grad)

    return timed(part, call)


def kernels(part: Part) -> None:
    """The speed of copies, and the table of neurons."""
    for name, dtype in DTYPES.items():
        for title, shape in shapes(part):
            x = sequence(shape, part, dtype)
            grad, other = torch.randn_like(x), torch.empty_like(x)
            (copied,) = timed(part, lambda _, x=x, other=other: other.copy_(x))
            case = {"ms": rounded(copied), "GB/s": round(2 * x.nbytes / copied / 1e9)}
            part.case(f"copy, {title}, {name}", lambda case=case: case)
            runs: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
                kind: partial(placed, part, make) for kind, make in makers(shape[2:]).items()
            }
            if part.found["facts"].get("spikingjelly"):
                runs["SpikingJelly LIF"] = partial(spikingjelly, part, dtype)
            for kind, make in runs.items():
                part.case(
                    f"{kind}, {title}, {name}", partial(passes, part, make, x, grad, 5 * copied)
                )


def placed(part: Part, make: Callable[[], Neuron]) -> Neuron:
    return make().to(part.device)


def spikingjelly(part: Part, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    from benchmarks._peers import peers

    found, _ = peers(part.device, dtype)
    contender = next(c for c in reversed(found) if c.name.startswith("SpikingJelly LIF"))
    return partial(contender.call, contender.make().to(part.device))


def passes(
    part: Part, make: Callable[[], Callable[[Tensor], Tensor]], x: Tensor, grad: Tensor, five: float
) -> Case:
    """Times of both passes. The floor is the time in which a copy moves as many bytes: five
    sequences, of which a copy moves two."""
    forward, backward = pass_times(part, make(), x, grad)
    ratio = 2 * (forward + backward) / five
    return {"forward ms": rounded(forward), "backward ms": rounded(backward),
            "x floor": round(ratio, 2)}  # fmt: skip


def rounded(seconds: float) -> float:
    return round(1e3 * seconds, 4)


def tune(part: Part) -> None:
    """Sizes of programs, by arity, length, dtype and direction."""
    from neurodyn.scan.gpu import sizes

    best: dict[str, list[int]] = {}
    for kind, neuron in (("LNM", LNM), ("ALIF", ALIF)):
        make: Callable[[], Neuron] = partial(neuron, surrogate=ArcTan())
        for (name, dtype), steps in itertools.product(DTYPES.items(), (4, 16)):
            x = sequence((steps, 2, 32) if part.dry else (steps, 128, 1 << 17), part, dtype)
            took = {}
            for size in candidates(part, x.itemsize):
                title = f"{kind}, T={steps}, {name}, {size.each} x {size.warps}"
                took[size] = part.case(title, partial(sized, part, size, make, x))
            for backward, direction in enumerate(("forward ms", "backward ms")):
                good = [size for size, case in took.items() if direction in case]
                key = sizes.key(bool(backward), len(make().states), steps > 8, x.itemsize)
                if good:
                    fastest = min(good, key=lambda size, by=direction: took[size][by])
                    best[key] = [fastest.each, fastest.warps]
            write_sizes(part, best)


def write_sizes(part: Part, best: dict[str, list[int]]) -> None:
    """Write the sizes, also into the cache of the parts that follow."""
    from neurodyn.scan.gpu.sizes import FILE

    text = json.dumps(best, indent=1) + "\n"
    write(part.out / "sizes.json", text)
    if not part.dry:
        write(cache_dir() / FILE, text)


def candidates(part: Part, itemsize: int) -> list[Any]:
    from neurodyn.scan.gpu.sizes import VECTOR, WARPS, Sizes

    most = VECTOR // itemsize
    each = [n for n in (most, most // 2, most // 4) if n > 1]
    found = [Sizes(n, WARPS) for n in each] + [Sizes(4, WARPS // 2), Sizes(4, 2 * WARPS)]
    return found[:2] if part.dry else found


def sized(part: Part, size: Any, make: Callable[[], Neuron], x: Tensor) -> Case:
    from neurodyn.scan.gpu import sizes

    with sizes.only(size):
        neuron = placed(part, make)
        neuron.backend = "gpu"
        forward, backward = pass_times(part, neuron, x, torch.randn_like(x))
    return {"forward ms": rounded(forward), "backward ms": rounded(backward)}


def resnet19(part: Part) -> None:
    """A training step, by the benchmark of that name."""
    command = [sys.executable, "-m", "benchmarks.resnet19", "--channels-last", "--dtype=bfloat16"]
    command += ["--device", part.device.type, "--out", str(part.out)]
    command += ["--batch=2", "--width=0.02", "--steps=1"] if part.dry else ["--steps=10"]
    part.case("step", lambda: step(part, command))


def step(part: Part, command: list[str]) -> Case:
    subprocess.run(command, check=True, timeout=part.left)
    path = part.out / f"resnet19-{part.device.type}.json"
    ((_, case),) = list(json.loads(path.read_text())["cases"].items())[-1:]
    rows = {}
    for row in case["rows"]:
        took, peak = statistics.median(row["times"]), row["peak"]
        memory = f", {peak / 2**30:.2f} GiB" if peak else ""
        rows[row["name"]] = f"{case['batch'] / took:.0f} images/s{memory}"
    return {**rows, **({"notes": case["notes"]} if case["notes"] else {})}


def speed(part: Part) -> None:
    for share, neuron in ((2, "lnm"), (1, "lif")):
        title = f"cifar10-speed, {neuron}"
        part.case(title, partial(trained, part, "cifar10-speed", neuron, part.left / share))


def epochs(part: Part) -> None:
    title = "cifar10-resnet19, lnm"
    part.case(title, partial(trained, part, "cifar10-resnet19", "lnm", part.left))


def psmnist(part: Part) -> None:
    part.case("psmnist, lnm", partial(trained, part, "psmnist", "lnm", part.left))


def trained(part: Part, recipe: str, neuron: str, seconds: float) -> Case:
    """Train by `neurodyn compare`, for so many seconds; returns its table's row."""
    if missing := [name for name in TRAINING if importlib.util.find_spec(name) is None]:
        raise ImportError(f"{', '.join(missing)} are not installed; give them by --wheels")
    # Half a minute for what comes after the last epoch.
    limit = time.strftime("00:%H:%M:%S", time.gmtime(max(10.0, seconds - 30)))
    folder = part.out / f"{recipe}-{neuron}"
    command = [sys.executable, "-m", "neurodyn", "compare", "--neurons", neuron, "--seeds", "1"]
    command += ["--out", str(folder), "--trainer.max_time", limit]
    if part.dry:
        command += ["--config", "digits", "--trainer.max_epochs", "1", "--trainer.accelerator=cpu"]
    else:
        command += ["--config", recipe, "--data.root", str(part.data)]
    started = time.monotonic()
    with (part.out / f"{recipe}-{neuron}.log").open("w") as log:
        run = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=part.left)
    log_text = (part.out / f"{recipe}-{neuron}.log").read_text()
    if run.returncode:
        raise RuntimeError(log_text[-300:])
    rows = [line for line in log_text.splitlines() if line.startswith("|")]
    return {"s": round(time.monotonic() - started), "table": rows or log_text[-300:]}


PARTS: dict[str, Callable[[Part], None]] = {
    "contract": contract, "kernels": kernels, "tune": tune, "resnet19": resnet19, "speed": speed,
    "epochs": epochs, "psmnist": psmnist,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PARTS)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args(arguments)
    if not options.dry_run and not torch.cuda.is_available():
        sys.exit(f"device: needs an NVIDIA GPU, and torch {torch.__version__} sees none here")
    os.environ.setdefault("NEURODYN_CACHE", str(options.out / "cache"))
    part = Part(options.name, options)
    PARTS[options.name](part)
    part.write(ended=True)


if __name__ == "__main__":
    main()
