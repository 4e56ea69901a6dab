"""NOBLE: how well trained surrogates predict, and how fast.

    neurodyn bench noble --runs both=runs/fit/version_0 [--arms both=... none=...] [--sag ...]

Each run is a folder of `neurodyn fit --config noble-small`. The first is looked at closely: curves
of firing rate, thresholds, other grids, models between models, speed, pictures. Arms have one
budget, and differ in the embedded features alone.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import _neuron
from benchmarks._arms import budget, check_equal
from benchmarks._measure import Now, add_clock, find_clock, take_turns
from benchmarks._results import FOLDER, write_page
from neurodyn.analysis.pictures import save
from neurodyn.biophysics import PospischilFamily
from neurodyn.biophysics.noble import Family, FamilyData, Steps, Surrogate, load_run
from neurodyn.biophysics.noble.curves import Firing, between, ensemble
from neurodyn.biophysics.noble.features import efel_features
from neurodyn.biophysics.noble.pictures import plot_plane, plot_rates, plot_traces
from neurodyn.biophysics.noble.scores import HEADINGS, halved_grid, predicted, row, scores
from neurodyn.biophysics.noble.traces import Traces

Run = tuple[Surrogate, FamilyData]
PARTS = ("unseen currents", "held-out models")


def rows_of(runs: dict[str, Run]) -> list[str]:
    """The scores of runs on both tests, as rows of a table."""
    return [
        row(f"{name}, {part}", scores(predicted(surrogate, traces), traces))
        for name, (surrogate, data) in runs.items()
        for part in PARTS
        for traces in [data.part(part)]
    ]


def zero_current(surrogate: Surrogate, data: FamilyData) -> float:
    """The largest difference [mV] of a prediction without current from the models' rest."""
    models = data.family.part("training")
    features = data.family.features[models]
    current = torch.zeros(data.steps, len(models))
    V = surrogate.predict(current, features)
    every = round(data.dt / data.family.step)
    rest = data.family.run(
        models, torch.zeros(data.steps * every, len(models)), data.family.step, every
    )
    return (V - rest).abs().max().item()


def curves(surrogate: Surrogate, data: FamilyData, part: str) -> dict[str, float]:
    """Errors of firing rates, thresholds and slopes that are read from predictions."""
    family, steps = data.family, data.stimulus
    simulated = Firing(steps, data.dt, family=family)
    guessed = Firing(steps, data.dt, surrogate=surrogate)
    models = family.part("training" if part == PARTS[0] else "held out")
    features = family.features[models]
    amplitudes = torch.linspace(0.02, 0.28, 14)
    gap = (simulated.rates(models, amplitudes) - guessed.rates(features, amplitudes)).abs()
    true, found = simulated.features(models), guessed.features(features)
    errors = (found / true - 1).abs()
    return {
        "rate": gap.mean().item(),
        "threshold": errors[:, 0].nanmedian().item(),
        "slope": errors[:, 1].nanmedian().item(),
        "without": int(errors[:, 0].isnan().sum()),
        "models": len(models),
    }


def in_between(surrogate: Surrogate, data: FamilyData, seed: int = 0) -> dict[str, Any]:
    """Thresholds on the way from one model to another, and those of an ensemble."""
    features = data.family.features[data.family.part("training")]
    guessed = Firing(data.stimulus, data.dt, surrogate=surrogate)
    order = features[:, 0].argsort()
    path = guessed.features(between(features[order[0]], features[order[-1]], 9))[:, 0]
    drawn = ensemble(features, 50, seed)
    known, new = guessed.features(features)[:, 0], guessed.features(drawn)[:, 0]
    return {
        "path": path.tolist(),
        "known": [known.nan_to_num(9).min().item(), known.nan_to_num(-9).max().item()],
        "new": [new.nan_to_num(9).min().item(), new.nan_to_num(-9).max().item()],
        "silent": int(new.isnan().sum()),
    }


def sag_errors(surrogates: dict[str, Surrogate], data: FamilyData) -> dict[str, float]:
    """The mean error of eFEL's sag amplitude on currents below -.02 nA, as a share of the mean
    sag."""
    steps = data.stimulus
    low = Steps(
        (-0.11, -0.02),
        mode=-0.06,
        start=steps.start,
        duration=steps.duration,
        window=steps.window,
        jitter=steps.jitter,
    )
    traces = data.family.simulate(low, 200, data.dt, seed=4)
    true = _sag(traces, traces.V.T)
    return {
        name: (
            (_sag(traces, predicted(each, traces)) - true).abs().nanmean() / true.nanmean()
        ).item()
        for name, each in surrogates.items()
    }


def _sag(traces: Traces, V: Tensor) -> Tensor:
    stop = traces.onset + traces.stimulus.duration
    name = "sag_amplitude"
    return efel_features(V, traces.times, traces.onset, stop, [name])[name]


def speed(surrogate: Surrogate, data: FamilyData, rounds: int, clock: Now) -> dict[str, float]:
    """Milliseconds per trace: the surrogate one at a time and in batches, our kernel, NEURON."""
    many = data.part(PARTS[0])
    current, features = many.current(), many.features
    fine = many.stimulus.current(many.amplitude, many.onset, 0.025)
    family = data.family

    def simulated(by: Family, count: int) -> None:
        by.run(many.model[:count], fine[:, :count], 0.025, 4)

    calls: dict[str, tuple[int, Callable[[], Any]]] = {
        "surrogate, one at a time": (
            50,
            lambda: surrogate.predict(current[:, :50], features[:50], batch=1),
        ),
        "surrogate, batches of 64": (
            512,
            lambda: surrogate.predict(current[:, :512], features[:512]),
        ),
        "our kernel, 1 at a time": (1, lambda: simulated(family, 1)),
        "our kernel, 512 at a time": (512, lambda: simulated(family, 512)),
    }
    if _neuron.installed():
        slow = PospischilFamily(family.models, family.held_out, family.seed, "neuron")
        calls["NEURON, one at a time"] = 20, lambda: simulated(slow, 20)
    seconds = take_turns({name: call for name, (_, call) in calls.items()}, rounds, clock)
    return {name: 1e3 * took / calls[name][0] for name, took in seconds.items()}


def pictures(surrogate: Surrogate, data: FamilyData) -> dict[str, Figure]:
    """Traces, curves and the plane of features."""
    traces = data.part(PARTS[0])
    order = traces.amplitude.argsort()
    shown = order[torch.tensor([0.02, 0.45, 0.6, 0.8, 0.97]).mul(len(order)).long()]
    family = data.family
    simulated = Firing(data.stimulus, data.dt, family=family)
    guessed = Firing(data.stimulus, data.dt, surrogate=surrogate)
    training, held = family.part("training"), family.part("held out")
    models = torch.cat([training[:2], held[:2]])
    return {
        "noble-traces": plot_traces(surrogate, traces.subset(shown), "unseen currents"),
        "noble-rates": plot_rates(
            guessed, simulated, models, family.features[models], torch.linspace(0, 0.28, 29)
        ),
        "noble-plane": plot_plane(guessed, family.features[training], family.features[held], 0.07),
    }


def table(found: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    lines = [
        "Mean errors of the potential (relative L2) and of features by eFEL, relative, over traces "
        "that fire in both or, for the steady-state voltage, all.",
        "",
        f"| run | {' | '.join(HEADINGS)} |",
        "|---" * (1 + len(HEADINGS)) + "|",
        *found["rows"],
        "",
        *[f"Trained for {words}: {name}." for name, words in found["budgets"].items()],
    ]
    if found["arms"]:
        lines += [
            "",
            f"Features embedded, the rest equal: each run with {found['budget']}.",
            "",
            f"| embedded | {' | '.join(HEADINGS)} |",
            "|---" * (1 + len(HEADINGS)) + "|",
            *found["arms"],
        ]
    lines += [
        "",
        f"Without current the prediction differs from rest by at most {found['zero']:.2f} mV. On a "
        f"grid twice as fine it differs by {100 * found['grid']:.2f} % (relative L2).",
        "",
        "Curves of firing rate in the window, read from predictions and simulated:",
        "",
        "| models | rate, mean error [Hz] | threshold, median error | slope, median error | "
        "without a threshold |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {part} | {c['rate']:.1f} | {100 * c['threshold']:.1f} % | {100 * c['slope']:.1f} % | "
        f"{c['without']} of {c['models']} |"
        for part, c in found["curves"].items()
    ]
    b = found["between"]
    lines += [
        "",
        "Thresholds [nA] read on the way from the training model with the lowest to the one with "
        f"the highest, in eight steps: {', '.join(f'{t:.3f}' for t in b['path'])}.",
        f"Of 50 models drawn from the convex hull, {50 - b['silent']} fire, from "
        f"{b['new'][0]:.3f} to {b['new'][1]:.3f} nA on; the training models from "
        f"{b['known'][0]:.3f} to {b['known'][1]:.3f} nA on.",
    ]
    if found["sag"]:
        lines += ["", "| fine-tuned | sag, mean error / mean sag |", "|---|---|"]
        lines += [f"| {name} | {100 * e:.1f} % |" for name, e in found["sag"].items()]
    slowest = found["speed"].get("NEURON, one at a time")
    lines += ["", "| a trace of the window | ms | NEURON's time over this |", "|---|---|---|"]
    lines += [
        f"| {name} | {ms:.2f} | {f'{slowest / ms:.0f}' if slowest else ''} |"
        for name, ms in found["speed"].items()
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", nargs="+", required=True, help="label=folder, the main one first")
    parser.add_argument("--arms", nargs="*", default=[], help="label=folder of runs of one budget")
    parser.add_argument("--sag", nargs="*", default=[], help="label=folder of fine-tuned runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    parser.add_argument("--pictures", type=Path, help="folder of pictures")
    add_clock(parser)
    options = parser.parse_args()
    clock, about = find_clock(options)
    runs, arms, tuned = (_folders(given) for given in (options.runs, options.arms, options.sag))
    if arms:
        check_equal(arms)
    loaded = {name: load_run(folder) for name, folder in runs.items()}
    surrogate, data = next(iter(loaded.values()))
    sag = {name: load_run(folder)[0] for name, folder in tuned.items()}
    found = {
        "rows": rows_of(loaded),
        "budgets": {name: budget(folder) for name, folder in runs.items()},
        "arms": rows_of({name: load_run(folder) for name, folder in arms.items()}),
        "budget": budget(next(iter(arms.values()))) if arms else None,
        "zero": zero_current(surrogate, data),
        "grid": halved_grid(surrogate, data.part(PARTS[0])),
        "curves": {part: curves(surrogate, data, part) for part in PARTS},
        "between": in_between(surrogate, data),
        "sag": sag_errors({"before": surrogate, **sag}, data) if sag else {},
        "speed": speed(surrogate, data, options.rounds, clock),
    }
    if options.pictures:
        for name, figure in pictures(surrogate, data).items():
            save(figure, options.pictures / f"{name}.png")
    command = ["--runs", *options.runs]
    for name, folders in (("--arms", options.arms), ("--sag", options.sag)):
        command += [name, *folders] if folders else []
    command += ["--cpu-time"] if options.cpu_time else []
    what = f"`neurodyn bench noble {shlex.join(command)}`; runs of the recipe `noble-small`"
    what += ", fine-tuned by `noble-sag`." if sag else "."
    write_page(options.out, "noble", ("NOBLE", what + about), found, table)


def _folders(given: list[str]) -> dict[str, str]:
    """Folders by label."""
    return {name: folder for name, _, folder in (each.partition("=") for each in given)}


if __name__ == "__main__":
    main()
