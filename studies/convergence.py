"""How fast does each neuron learn: validation scores over epochs and over seconds."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import curve_legend, draw_curves
from neurodyn.comparison.clock import epochs_to
from neurodyn.comparison.folder import Runs, by_neuron, curves, finished_runs
from neurodyn.comparison.tables import aligned, chance, curve_label, number
from neurodyn.comparison.verdict import mean_and_spread


def conclude(folder: Path) -> tuple[str, Figure]:
    """The table and the picture of the runs in a folder."""
    runs = finished_runs(folder)
    return convergence_table(runs), plot_convergence(runs)


def convergence_table(runs: Runs) -> str:
    """A row per neuron: epochs until it is as good as the first one's best, and the time of one.

    The target is the first neuron's best validation score, averaged over seeds. Seeds that never
    reach it are left out of the mean, and counted in a column. The time of an epoch is relative to
    the first neuron's mean, and includes the compilation of kernels.
    """
    groups = by_neuron(runs)
    first, reference = next(iter(groups.items()))
    target, _ = mean_and_spread(max(run["curve"]) for run in reference)
    second, _ = mean_and_spread(run["seconds"] / run["epochs"] for run in reference)
    rows = [["neuron", f"epochs to {target:.1f} %, {first}'s best", "reached by", "time per epoch"]]
    for neuron, group in groups.items():
        times = [epochs_to(run["curve"], target) for run in group]
        reached = [time for time in times if time is not None]
        epoch = mean_and_spread(run["seconds"] / run["epochs"] / second for run in group)
        epochs = number(*mean_and_spread(reached), 1) if reached else ""
        share = f"{len(reached)} of {len(group)} seeds"
        rows.append([neuron, epochs, share, number(*epoch, 2)])
    return aligned(rows)


def plot_convergence(runs: Runs) -> Figure:
    """The learning curves over epochs, and over seconds of training."""
    seconds = {
        neuron: mean_and_spread(values)[0]
        for neuron, values in by_neuron(runs, lambda run: run["seconds"] / run["epochs"]).items()
    }
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_curves(left, curves(runs), chance=chance(runs))
    draw_curves(right, curves(runs), per_epoch=seconds, chance=chance(runs))
    right.set_xlabel("seconds of training")
    left.set_xlabel("epoch")
    left.set_ylabel(curve_label(runs))
    curve_legend(figure)
    return figure
