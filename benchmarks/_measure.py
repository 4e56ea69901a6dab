"""Measuring: the device, its clock, the bytes that autograd keeps."""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Now = Callable[[], float]
"""A clock: the seconds now, from some time on."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options for device, dtype and threads."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())


def find_device(name: str) -> torch.device:
    """The device of that name. Exits with a sentence if there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        sys.exit(f"device: cuda needs an NVIDIA GPU, and torch {torch.__version__} sees none here")
    return torch.device(name)


def device_facts(device: torch.device) -> dict[str, str]:
    """The GPU and the versions of its software; empty for a CPU."""
    if device.type != "cuda":
        return {}
    gpu = torch.cuda.get_device_properties(device)
    return {
        "gpu": f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB",
        "cuda": str(torch.version.cuda),
        "triton": importlib.import_module("triton").__version__,
    }


def wait(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Clock:
    """Seconds between marks: wall time, or for a GPU the time between events in its stream.

    The stream is empty at the start.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks: list[Any] = []

    def start(self) -> None:
        wait(self.device)
        self.marks = []
        self.mark()

    def mark(self) -> None:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """The seconds from each mark to the next."""
        wait(self.device)
        if self.device.type == "cuda":
            return [a.elapsed_time(b) / 1e3 for a, b in pairwise(self.marks)]
        return [b - a for a, b in pairwise(self.marks)]


def median_seconds(call: Callable[[], Any], rounds: int) -> float:
    """The median wall time of a call."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def take_turns(calls: Mapping[str, Callable[[], Any]], rounds: int, clock: Now) -> dict[str, float]:
    """The median seconds of each call. They take turns, so that what else the machine does meets
    all of them. A turn before the first warms up.

    Args:
        calls: by name.
        rounds: how many turns.
        clock: of `find_clock`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(1 + rounds):
        for name, call in calls.items():
            settle()
            started = clock()
            call()
            if turn:
                seconds[name].append(clock() - started)
    return {name: statistics.median(every) for name, every in seconds.items()}


def settle(interval: float = 0.1) -> None:
    """Wait until this process computes nothing for three intervals [s]: JAX's threads wait busily
    for a while after a call, and would take their share of the core from the next one."""
    quiet = 0
    while quiet < 3:
        before = time.process_time()
        time.sleep(interval)
        quiet = quiet + 1 if time.process_time() - before < 0.01 * interval else 0


def add_clock(parser: argparse.ArgumentParser) -> None:
    """Add the option for the clock."""
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="measure the CPU time of this process, with one thread: for a core with other work",
    )


def find_clock(options: argparse.Namespace) -> tuple[Now, str]:
    """The clock, and a sentence about it. CPU time needs one thread, and exits without."""
    if not options.cpu_time:
        return time.perf_counter, ""
    if torch.get_num_threads() > 1:
        sys.exit("cpu-time: expected one thread, with OMP_NUM_THREADS=1, got several")
    return time.process_time, " Times are CPU time of one thread: the core had other work too."


def kept_bytes(call: Callable[[], Tensor], without: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps for the backward pass. A shared storage counts once.

    Args:
        call: the forward pass.
        without: tensors that do not count, such as weights.
    """
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    # The result lives until the sum is made, so no two storages share an address.
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = call()
    for tensor in without:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    del result
    return sum(storages.values())
