"""How fast neurons learn: validation accuracy over epochs and over seconds, against the first."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import curve_legend, draw_curves
from neurodyn.comparison.clock import epochs_to
from neurodyn.comparison.tables import (
    Runs,
    aligned,
    by_neuron,
    finished_runs,
    mean_and_spread,
    number,
    validation_curve,
)


def write_convergence(folder: Path) -> str:
    """Write `convergence.md` and `convergence.png` of the runs in a folder; return the table."""
    runs = finished_runs(folder)
    for run in runs:
        run["curve"] = validation_curve(folder / run["folder"] / "log")
    table = convergence_table(runs)
    (folder / "convergence.md").write_text(f"{table}\n")
    plot_convergence(runs).savefig(folder / "convergence.png", dpi=150)
    return table


def convergence_table(runs: Runs) -> str:
    """A row a neuron: epochs until it is as good as the first one's best, and the time of one.

    The target is the mean over seeds of the first neuron's best validation accuracy. Seeds that
    never reach it are left out of the mean, and counted. An epoch's time is in multiples of the
    first neuron's mean, the compilation of kernels included.
    """
    groups = by_neuron(runs, lambda run: run)
    first, reference = next(iter(groups.items()))
    target, _ = mean_and_spread(max(run["curve"]) for run in reference)
    second, _ = mean_and_spread(run["seconds"] / run["epochs"] for run in reference)
    rows = [
        ["neuron", f"epochs to {target:.1f} %, {first}'s best", "reached by", "an epoch's time"]
    ]
    for neuron, group in groups.items():
        times = [epochs_to(run["curve"], target) for run in group]
        reached = [time for time in times if time is not None]
        epoch = mean_and_spread(run["seconds"] / run["epochs"] / second for run in group)
        epochs = number(*mean_and_spread(reached), 1) if reached else ""
        share = f"{len(reached)} of {len(group)} seeds"
        rows.append([neuron, epochs, share, number(*epoch, 2)])
    return aligned(rows)


def plot_convergence(runs: Runs) -> Figure:
    """The learning curves twice: over epochs, and over seconds of training."""
    curves = by_neuron(runs, lambda run: run["curve"])
    seconds = {
        neuron: mean_and_spread(values)[0]
        for neuron, values in by_neuron(runs, lambda run: run["seconds"] / run["epochs"]).items()
    }
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_curves(left, curves)
    draw_curves(right, curves, per_epoch=seconds)
    right.set_xlabel("seconds of training")
    left.set_xlabel("epoch")
    left.set_ylabel("validation accuracy [%]")
    curve_legend(figure)
    return figure
