"""Biophysical cells: how close to NEURON, how fast, and what a gradient costs.

    neurodyn bench cells [--traces 1024]

NEURON and Jaxley are compared with where they are installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import _jaxley, _neuron
from benchmarks._measure import Now, add_clock, find_clock, take_turns
from benchmarks._results import FOLDER, write_page
from neurodyn.biophysics import Pospischil, simulate, spike_times

START, STOP, END = 215.0, 615.0, 715.0
AMPLITUDES = (-0.11, 0.1, 0.2, 0.28)
JAXLEY_STEP = 0.025
FINE = 0.00125
"""NEURON's time step for the spike times that both are compared with [ms]."""


def stimulus(amplitudes: Any, dt: float, dtype: torch.dtype) -> Tensor:
    """A step of current, (T, traces)."""
    current = torch.zeros(round(END / dt), len(amplitudes), dtype=dtype)
    current[round(START / dt) : round(STOP / dt)] = torch.as_tensor(amplitudes, dtype=dtype)
    return current


def ours(dt: float, dtype: torch.dtype = torch.float64) -> tuple[Any, list[Any]]:
    """Potentials at dt, 2 dt, ... and spike times."""
    cell = Pospischil(dt=dt, learn=False).to(dtype)
    V = simulate(cell, stimulus(AMPLITUDES, dt, dtype), warm_up=0.0)
    return V.numpy(), spike_times(V, dt)


def jaxley_times(dt: float) -> list[Any]:
    """Spike times by Jaxley."""
    current = stimulus(AMPLITUDES, dt, torch.float64).numpy()
    V = np.array(_jaxley.compile_both(_jaxley.load(), current, dt)["forward"]())
    return spike_times(torch.from_numpy(V.T), dt)


def accuracy(
    h: Any, steps: tuple[float, ...], clock: Now = time.perf_counter
) -> list[dict[str, Any]]:
    """Errors of spike times and potentials, beside NEURON with a fine step."""
    fine = [_neuron.run(h, a, FINE, START, STOP, END)[0] for a in AMPLITUDES]
    truth = [spike_times(torch.from_numpy(V[1:, None]), FINE)[0] for V in fine]
    rows = []
    for dt in steps:
        V, times = ours(dt)
        single = ours(dt, torch.float32)[1]
        third = jaxley_times(dt) if _jaxley.installed() else None
        for k, amplitude in enumerate(AMPLITUDES):
            theirs, seconds = _neuron.run(h, amplitude, dt, START, STOP, END, clock)
            other = spike_times(torch.from_numpy(theirs[1:, None]), dt)[0]
            at = dt * (1 + np.arange(len(V)))
            near = np.zeros(len(V), bool)
            for t in np.concatenate([times[k], truth[k]]):
                near |= abs(at - t) < 3
            every = round(dt / FINE)
            gap = (V[:, k] - fine[k][every::every])[~near]
            rows.append(
                {
                    "dt": dt,
                    "amplitude": amplitude,
                    "spikes": [len(times[k]), len(other), len(truth[k])],
                    "error": _worst(times[k], truth[k]),
                    "error in float32": _worst(single[k], truth[k]),
                    "their error": _worst(other, truth[k]),
                    "jaxley's error": third and _worst(third[k], truth[k]),
                    "rms": float(np.sqrt((gap**2).mean())),
                    "their seconds": seconds,
                }
            )
    return rows


def _worst(a: Any, b: Any) -> float:
    if len(a) != len(b):
        return float("inf")
    return float(abs(a - b).max()) if len(a) else 0.0


def passes(
    cell: Pospischil, current: Tensor, forward: str, gradient: str
) -> dict[str, Callable[[], None]]:
    """A forward pass, and a forward and a backward pass, by these names."""

    def one() -> None:
        with torch.no_grad():
            cell(current)

    def both() -> None:
        cell.zero_grad()
        cell(current).mean().backward()

    return {forward: one, gradient: both}


def speed(dt: float, traces: int, rounds: int, clock: Now) -> dict[str, float]:
    """Milliseconds per trace of many together, in float32, and the gradient's share."""
    cell = Pospischil(dt=dt)
    current = stimulus(np.linspace(-0.11, 0.28, traces), dt, torch.float32)

    def forward() -> None:
        with torch.no_grad():
            simulate(cell, current, warm_up=0.0, every=4)

    begin = round(START / dt)
    few = current[begin : begin + round(100 / dt), : min(traces, 256)]

    calls = {"forward": forward, **passes(cell, few, "short", "gradient")}
    seconds = take_turns(calls, rounds, clock)
    return {
        "dt": dt,
        "traces": traces,
        "milliseconds": 1e3 * seconds["forward"] / traces,
        "gradient": seconds["gradient"] / seconds["short"],
    }


def beside_jaxley(dt: float, rounds: int, clock: Now) -> list[dict[str, Any]]:
    """Seconds of a forward pass and of a gradient here and in Jaxley, which take turns. Compiling
    is apart: here, it is the first call."""
    return [
        row
        for dtype in (torch.float64, torch.float32)
        for traces, length in ((1, END), (256, 100.0))
        for row in _beside_jaxley(dt, traces, length, dtype, rounds, clock)
    ]


def _beside_jaxley(
    dt: float, traces: int, length: float, dtype: torch.dtype, rounds: int, clock: Now
) -> list[dict[str, Any]]:
    current = torch.zeros(round(length / dt), traces, dtype=dtype)
    current[round(10 / dt) :] = torch.linspace(0.2, 0.28, traces)
    cell = Pospischil(dt=dt, learn=tuple(_jaxley.TRAINED)).to(dtype)
    theirs = _jaxley.load(dtype == torch.float64)
    there = _jaxley.compile_both(theirs, current.numpy(), dt, clock)

    calls = passes(cell, current, "neurodyn forward", "neurodyn gradient")
    compiling = {}
    with _empty_cache():
        for key, call in calls.items():
            started = clock()
            call()
            compiling[key] = clock() - started
    for name in ("forward", "gradient"):
        calls[f"Jaxley {name}"] = there[name]
        compiling[f"Jaxley {name}"] = there[f"{name} compiled"]
    seconds = take_turns(calls, rounds, clock)
    case = {"dtype": str(dtype).removeprefix("torch."), "traces": traces, "length": length}
    return [
        {
            **case,
            "who": who,
            **{name: seconds[f"{who} {name}"] for name in ("forward", "gradient")},
            "compiling": [compiling[f"{who} {name}"] for name in ("forward", "gradient")],
        }
        for who in ("neurodyn", "Jaxley")
    ]


@contextlib.contextmanager
def _empty_cache() -> Iterator[None]:
    """Without kernels of earlier processes."""
    before = os.environ.get("NEURODYN_CACHE")
    with tempfile.TemporaryDirectory(prefix="neurodyn-bench-") as folder:
        os.environ["NEURODYN_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("NEURODYN_CACHE")
            if before is not None:
                os.environ["NEURODYN_CACHE"] = before


def table(found: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    lines = []
    if found["accuracy"] is None:
        lines.append("NEURON is not installed: spike times were not compared.")
    else:
        lines += [
            f"Beside NEURON with a step of {FINE} ms: the largest error of a spike time, and the "
            "rms difference of the potential where no spike is within 3 ms.",
            "",
            "| step [ms] | current [nA] | spikes: ours, NEURON, NEURON fine | error [ms]: double, "
            "float32 | NEURON's error [ms] | Jaxley's error [ms] | rms [mV] | "
            "NEURON's time for the trace [ms] |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {r['dt']:g} | {r['amplitude']:g} | {', '.join(map(str, r['spikes']))} | "
            f"{r['error']:.3f}, {r['error in float32']:.3f} | {r['their error']:.3f} | "
            f"{_milliseconds(r)} | {r['rms']:.2f} | "
            f"{1e3 * r['their seconds']:.0f} |"
            for r in found["accuracy"]
        ]
    lines += [
        "",
        f"Many traces together, float32, each of {END:g} ms; a gradient of all conductances takes "
        "forward and backward.",
        "",
        "| step [ms] | traces | ms per trace | forward and backward, x forward |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r['dt']:g} | {r['traces']} | {r['milliseconds']:.2f} | {r['gradient']:.1f} |"
        for r in found["speed"]
    ]
    if found["jaxley"] is None:
        return [*lines, "", "Jaxley is not installed: it was not compared with."]
    lines += [
        "",
        f"Beside Jaxley, with a step of {JAXLEY_STEP} ms: the potential, and the gradient of its "
        "mean with respect to eight quantities (a forward and a backward pass). Compiling is "
        "apart; a kernel of neurodyn is compiled once for all sizes, and kept.",
        "",
        "| precision | traces | length [ms] | by | forward [ms] | gradient [ms] | "
        "gradient, x forward | compiling [s]: forward, gradient |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['dtype']} | {r['traces']} | {r['length']:g} | {r['who']} | "
        f"{1e3 * r['forward']:.2f} | {1e3 * r['gradient']:.1f} | "
        f"{r['gradient'] / r['forward']:.1f} | {', '.join(f'{c:.1f}' for c in r['compiling'])} |"
        for r in found["jaxley"]
    ]
    return lines


def _milliseconds(row: dict[str, Any]) -> str:
    error = row["jaxley's error"]
    return "" if error is None else f"{error:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=float, nargs="+", default=[0.025, 0.0125])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    add_clock(parser)
    options = parser.parse_args()
    clock, about = find_clock(options)
    steps = tuple(options.steps)
    jaxley = _jaxley.installed()
    found: dict[str, Any] = {
        "accuracy": accuracy(_neuron.load(), steps, clock) if _neuron.installed() else None,
        "speed": [speed(dt, options.traces, options.rounds, clock) for dt in steps],
        "jaxley": beside_jaxley(JAXLEY_STEP, options.rounds, clock) if jaxley else None,
    }
    command = "neurodyn bench cells" + " --cpu-time" * options.cpu_time
    what = f"`{command}`; `Pospischil` with its defaults, 400 ms of current."
    for name in ("neuron", "jaxley"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            what += f" {name} {importlib.metadata.version(name)}."
    write_page(options.out, "cells", ("Biophysical cells", what + about), found, table)


if __name__ == "__main__":
    main()
