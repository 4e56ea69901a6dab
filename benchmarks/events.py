"""Networks in continuous time: the equivalence of one spike and many, in numbers and pictures, and
how fast the event-driven simulation is.

    neurodyn bench events [--networks 1000] [--pictures docs/images]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import _jaxsnn
from benchmarks._measure import median_seconds
from benchmarks._results import FOLDER, write_page
from neurodyn.analysis.pictures import save
from neurodyn.convert import Events, LIFKernel, NLIFKernel, compare, multi_spike, single_spike
from neurodyn.convert.events.compiled import compiled
from neurodyn.convert.spikes.pictures import plot_conversion, plot_levels, plot_neurons

SIZES, UNTIL = (6, 5, 4, 3), 60.0


def trains(lines: int, seed: int, each: int = 8, span: float = 40.0) -> Tensor:
    """Random spike times, (lines, each)."""
    generator = torch.Generator().manual_seed(seed)
    return (span * torch.rand(lines, each, generator=generator, dtype=torch.float64)).sort().values


def networks(kernel: Callable[[], Any], reset: Any = "soft") -> Callable[[int], Events]:
    return lambda seed: Events.random(SIZES, kernel(), seed=seed, reset=reset)


def conversions(make: Callable[[int], Events], count: int, *, once: bool) -> dict[str, Any]:
    """Networks that fire once, or many times, converted: the worst difference and the sizes."""
    errors, spikes, neurons, started = [], [], [], time.perf_counter()
    for seed in range(count):
        net, inputs = make(seed), trains(SIZES[0], seed)
        net = net.converted(net.copies, None, once=True) if once else net
        bound = net.bound(inputs, UNTIL)
        twin = multi_spike(net, bound) if once else single_spike(net, bound)
        report = compare(net, twin, inputs, UNTIL)
        errors.append(report.error)
        spikes.append(max(int(each.max()) for each in bound[1:]))
        neurons.append(report.neurons[1])
    return {
        "networks": count,
        "error": max(errors),
        "most spikes": max(spikes),
        "neurons, median": int(statistics.median(neurons)),
        "neurons, most": max(neurons),
        "seconds": time.perf_counter() - started,
    }


def without_edges(count: int) -> dict[str, Any]:
    """The negative control: a leaking reset without lateral edges."""
    make, wrong, started = networks(LIFKernel, "leaky"), 0, time.perf_counter()
    fired = 0
    for seed in range(count):
        net, inputs = make(seed), trains(SIZES[0], seed)
        most = max(int(each.max()) for each in net.bound(inputs, UNTIL)[1:])
        if most > 1:  # The first spike is right in any case.
            fired += 1
            twin = single_spike(net, 2000, lateral=False)
            wrong += compare(net, twin, inputs, UNTIL).error > 0
    seconds = time.perf_counter() - started
    return {"networks": fired, "wrong": wrong, "seconds": seconds}


@compiled
def clock(
    weights: Any, theta: Any, tau: float, tau_syn: float, arrive: Any, dt: float, out: Any
) -> int:
    """A layer on a grid: exact decay per step, a spike at the first point beyond its level."""
    steps, sources = arrive.shape
    neurons = len(theta)
    h, current, fired = np.zeros(neurons), np.zeros(neurons), np.zeros(neurons)
    decay, decay_syn = np.exp(-dt / tau), np.exp(-dt / tau_syn)
    enters = tau / (tau - tau_syn) * (decay - decay_syn)
    spikes = 0
    for step in range(steps):
        for i in range(neurons):
            h[i] = h[i] * decay + current[i] * enters
            current[i] *= decay_syn
            if h[i] >= (fired[i] + 1) * theta[i]:
                fired[i] += 1
                out[step, i] += 1
                spikes += 1
        for j in range(sources):
            if arrive[step, j] != 0:
                for i in range(neurons):
                    current[i] += weights[i, j] * arrive[step, j]
    return spikes


def clock_driven(net: Events, inputs: Tensor, dt: float) -> list[list[Any]]:
    """The spike times of the last layer by the clock."""
    steps = round(UNTIL / dt) + 1
    arrive = np.zeros((steps, len(inputs)), np.int8)
    for line, train in enumerate(inputs.numpy()):
        np.add.at(arrive[:, line], np.ceil(train / dt).astype(int), 1)
    for k, weights in enumerate(net.weights):
        out = np.zeros((steps, len(weights)), np.int8)
        clock(weights.numpy(), net.thresholds[k].numpy(), 10.0, 4.0, arrive, dt, out)
        arrive = out
    return [list(np.nonzero(arrive[:, i])[0] * dt) for i in range(arrive.shape[1])]


def against_clock(samples: int, steps: tuple[float, ...]) -> dict[str, Any]:
    """Error and time of a clock-driven simulation at falling time steps, and the time of ours."""
    net = Events.random(SIZES, LIFKernel(), seed=0).requires_grad_(False)
    batch = torch.stack([trains(SIZES[0], seed) for seed in range(samples)])
    net(batch, UNTIL), clock_driven(net, batch[0], 0.1)  # compiled before the clock starts
    ours = median_seconds(lambda: net(batch, UNTIL), 5) / samples
    exact = net(batch, UNTIL)[2].numpy()
    rows = []
    for dt in steps:
        started = time.perf_counter()
        found = [clock_driven(net, sample, dt) for sample in batch]
        seconds = (time.perf_counter() - started) / samples
        gaps, counts = [0.0], 0
        for sample, times in zip(found, exact, strict=True):
            for a, b in zip(sample, times, strict=True):
                b = b[np.isfinite(b)]
                counts += len(a) != len(b)
                if len(a) == len(b) > 0:
                    gaps.append(float(np.abs(np.array(a) - b).max()))
        rows.append(
            {
                "dt": dt,
                "worst": max(gaps),
                "mean": statistics.fmean(gaps[1:]),
                "other counts": counts,
                "milliseconds": seconds * 1e3,
                "times ours": seconds / ours,
            }
        )
    return {"ours, milliseconds": ours * 1e3, "samples": samples, "rows": rows}


def large(reset: Any = "leaky") -> dict[str, Any]:
    """1,000 neurons, each with 100 random sources among 100 lines and all neurons."""
    generator = torch.Generator().manual_seed(0)
    lines, neurons, sources = 100, 1000, 100
    there = torch.zeros(neurons, lines + neurons, dtype=torch.float64)
    noise = torch.randn(neurons, lines + neurons, generator=generator, dtype=torch.float64)
    for row in there:
        row[torch.randperm(lines + neurons, generator=generator)[:sources]] = 1.0
    weights = 1.0 * there[:, :lines]
    recurrent = (0.15 * noise[:, lines:] - 0.1) * there[:, lines:]
    net = Events([weights], 1.0, LIFKernel(), recurrent=[recurrent], reset=reset)
    net.requires_grad_(False)
    inputs = trains(lines, 1, 100, 1000.0)
    net(inputs, 1.0)
    started = time.perf_counter()
    spikes = net(inputs, 1000.0).spikes
    return {"spikes": spikes, "seconds": time.perf_counter() - started}


def draw(folder: Path) -> None:
    """The pictures of the documentation."""
    folder.mkdir(parents=True, exist_ok=True)
    net, inputs = Events.random(SIZES, LIFKernel(), seed=0), trains(SIZES[0], 0)
    single = single_spike(net, net.bound(inputs, UNTIL))
    once = net.converted(net.copies, None, once=True)
    multi = multi_spike(once, once.bound(inputs, UNTIL))
    save(plot_neurons(), folder / "equivalence-neurons.png")
    save(plot_levels(net, inputs, UNTIL, neuron=1), folder / "equivalence-levels.png")
    save(plot_conversion(net, single, inputs, UNTIL), folder / "equivalence-single.png")
    save(plot_conversion(once, multi, inputs, UNTIL), folder / "equivalence-multi.png")


def table(found: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    lines = [
        "| conversion | networks | most spikes of a neuron | neurons, from 12 to (median, most) | "
        "largest difference of a spike time | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, r in found["conversions"].items():
        lines.append(
            f"| {name} | {r['networks']} | {r['most spikes']} | {r['neurons, median']}, "
            f"{r['neurons, most']} | {r['error']:.2g} | {r['seconds']:.1f} |"
        )
    control, big, clocked = found["control"], found["large"], found["clock"]
    lines += [
        "",
        f"Without the lateral edges, {control['wrong']} of {control['networks']} networks with a "
        "leaking reset, in which a neuron fires more than once, are converted wrongly.",
        "",
        f"1,000 recurrent neurons with 100 sources each: {big['spikes']:,} spikes in "
        f"{big['seconds']:.1f} s.",
        "",
        f"The first network on {clocked['samples']} samples: {clocked['ours, milliseconds']:.3f} "
        "ms per sample, event by event. By a compiled clock-driven loop:",
        "",
        "| time step | error of a spike time: mean | worst | neurons with another count | "
        "ms per sample | times ours |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['dt']:g} | {r['mean']:.2g} | {r['worst']:.2g} | {r['other counts']} | "
        f"{r['milliseconds']:.3g} | {r['times ours']:.3g} |"
        for r in clocked["rows"]
    ]
    peer = found["jaxsnn"]
    if peer is None:
        return [*lines, "", "jaxsnn, another exact simulation, is not installed."]
    return [
        *lines,
        "",
        f"Beside jaxsnn, {_jaxsnn.SAMPLES} samples, {_jaxsnn.LINES} lines, {_jaxsnn.HIDDEN} and "
        f"{_jaxsnn.OUT} neurons that fire once, float64 (spike times differ by at most "
        f"{peer['spike times differ by']:.1g}, gradients by {peer['gradients differ by']:.1g}):",
        "",
        "| | ours, ms | jaxsnn, ms | ratio |",
        "|---|---|---|---|",
        *(
            f"| {what} | {peer[what]:.1f} | {peer[what + ', jaxsnn']:.1f} | "
            f"{peer[what + ', jaxsnn'] / peer[what]:.1f} |"
            for what in ("forward", "forward and backward")
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=20, help="for the clock-driven simulation")
    parser.add_argument("--steps", type=float, nargs="+", default=[1e-1, 1e-2, 1e-3, 1e-4, 2.5e-5])
    parser.add_argument("--rounds", type=int, default=15, help="beside jaxsnn")
    parser.add_argument("--pictures", type=Path, help="draw the documentation's pictures there")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    options = parser.parse_args()
    if options.pictures is not None:
        draw(options.pictures)
    few = max(1, options.networks // 20)
    lif, nlif = networks(LIFKernel), networks(NLIFKernel)
    leaky = networks(LIFKernel, "leaky")
    found = {
        "conversions": {
            "many spikes to one, LIF": conversions(lif, options.networks, once=False),
            "many spikes to one, nLIF": conversions(nlif, few, once=False),
            "many spikes to one, LIF with a leaking reset": conversions(leaky, few, once=False),
            "one spike to many, LIF": conversions(lif, options.networks, once=True),
            "one spike to many, nLIF": conversions(nlif, few, once=True),
        },
        "control": without_edges(few),
        "large": large(),
        "clock": against_clock(options.samples, tuple(options.steps)),
        "jaxsnn": _jaxsnn.measure(options.rounds) if _jaxsnn.installed() else None,
    }
    what = (
        "`neurodyn bench events`; random networks 6-5-4-3, thresholds .8 to 1.5, tau 10, tau_syn "
        "4, 8 spikes on each of 6 lines within 40, until 60."
    )
    write_page(options.out, "events", ("Networks in continuous time", what), found, table)


if __name__ == "__main__":
    main()
