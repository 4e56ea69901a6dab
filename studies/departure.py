"""How far do neurons depart from LIF, what does that go with, and what is lost without it?"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from neurodyn.analysis.departure import Departure, MembraneLog, put_back
from neurodyn.analysis.dynamics import families
from neurodyn.analysis.pictures import layer_names
from neurodyn.comparison.families import FAMILIES
from neurodyn.comparison.folder import finished_runs
from neurodyn.comparison.tables import aligned, number
from neurodyn.comparison.verdict import mean_and_spread
from neurodyn.neurons import neurons_of
from neurodyn.neurons.basis import LearnedMembrane
from neurodyn.training.recipe import Recipe

FACTORS = {
    "rate": "firing rate",
    "spread": "spread of the membrane [thresholds]",
    "a": "share of the membrane kept per step",
}
LOST = "accuracy lost [points]"


@dataclass
class Findings:
    """How the neurons of one run depart from LIF, and what is lost where LIF is put back.

    Attributes:
        layers: the departure of each layer.
        lost: points of validation accuracy, by the neurons that were replaced.
        counts: how many neurons those are.
    """

    layers: dict[str, Departure]
    lost: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def conclude(folder: Path) -> tuple[str, Figure]:
    """The tables and the picture of the runs with learned membranes in a folder.

    Each network is that of its run's best epoch. The data are validation images.
    """
    runs = [findings(folder / run["folder"]) for run in finished_runs(folder)]
    found = [run for run in runs if run is not None]
    if not found:
        raise FileNotFoundError(f"folder: expected runs with learned membranes in {folder}")
    return f"{factor_table(found)}\n\n{lost_table(found)}", plot_departure(found)


def findings(home: Path) -> Findings | None:
    """The findings of a run; None if not all neurons of its network are learned membranes."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    cli = Recipe([f"--config={home / 'config.yaml'}"], run=False)
    network = cli.model.network
    neurons = dict(neurons_of(network))
    if not all(isinstance(neuron, LearnedMembrane) for neuron in neurons.values()):
        return None
    best = torch.load(home / "best.ckpt", map_location="cpu", weights_only=True)
    cli.model.load_state_dict(best["state_dict"])

    def accuracy() -> float:
        (score,) = cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
        return 100 * score["val_score"]

    with MembraneLog(network) as log:
        whole = accuracy()
    names = dict(zip(neurons, layer_names(neurons), strict=True))
    found = Findings({names[key]: layer for key, layer in log.departures().items()})
    nearest = {key: (found.layers[name].a, found.layers[name].b) for key, name in names.items()}
    common = {key: found.layers[name].common for key, name in names.items()}

    def replace(what: str, lines: Any, where: dict[str, Tensor]) -> None:
        found.counts[what] = sum(int(chosen.sum()) for chosen in where.values())
        with put_back(network, lines, where):
            found.lost[what] = whole - accuracy()

    for what, lines in (("nearest LIF", nearest), ("one LIF", common)):
        for key, name in names.items():
            replace(f"{name}, {what}", lines, {key: torch.ones_like(found.layers[name].a) > 0})
    kinds = {
        key: families(neuron, most=neuron.threshold.numel()) for key, neuron in neurons.items()
    }
    for kind in FAMILIES:
        where = {
            key: torch.tensor([k == kind for k in row]).reshape(neurons[key].threshold.shape)
            for key, row in kinds.items()
        }
        if any(chosen.any() for chosen in where.values()):
            replace(kind, nearest, where)
    return found


def factor_table(found: Sequence[Findings]) -> str:
    """A row per layer: mean distance from LIF, and its rank correlation with each factor."""
    rows = [["layer", "distance from LIF", *(f"with {name}" for name in FACTORS.values())]]
    for name in found[0].layers:
        layers = [run.layers[name] for run in found]
        distance = mean_and_spread(layer.distance.mean().item() for layer in layers)
        cells = [name, number(*distance, 2)]
        for factor in FACTORS:
            values = [rank_correlation(layer.distance, getattr(layer, factor)) for layer in layers]
            cells.append(number(*mean_and_spread(values), 2))
        rows.append(cells)
    return aligned(rows)


def lost_table(found: Sequence[Findings]) -> str:
    """A row per set of neurons: their mean number, and the accuracy lost in all and per neuron."""
    rows = [["LIF put back into", "neurons", LOST, "per neuron"]]
    for what in dict.fromkeys(what for run in found for what in run.lost):
        count = statistics.fmean(run.counts.get(what, 0) for run in found)
        lost = mean_and_spread(run.lost.get(what, 0.0) for run in found)
        rows.append([what, f"{count:.1f}", number(*lost, 1), f"{lost[0] / count:.2f}"])
    return aligned(rows)


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's correlation, with ties in their order; 0 for fewer than three values."""
    if x.numel() < 3:
        return 0.0
    ranks = torch.stack([value.flatten().argsort().argsort().double() for value in (x, y)])
    return torch.corrcoef(ranks)[0, 1].item()


def plot_departure(found: Sequence[Findings]) -> Figure:
    """Above, each neuron's distance against each factor; below, the accuracy lost without it."""
    figure = Figure(figsize=(9.6, 6.8), layout="constrained")
    halves: Any = figure.subfigures(2, 1)
    above, below = halves
    axes = above.subplots(1, len(FACTORS), sharey=True)
    for axis, (factor, name) in zip(axes, FACTORS.items(), strict=True):
        for i, layer in enumerate(found[0].layers):
            x, y = (
                torch.cat([getattr(run.layers[layer], key).flatten() for run in found]).detach()
                for key in (factor, "distance")
            )
            axis.plot(x, y, "o^sD"[i % 4], ms=3, alpha=0.6, color=f"C{i % 10}", label=layer)
        axis.set_xlabel(name)
        axis.set_yscale("symlog", linthresh=0.01)
        axis.set_ylim(0)
    axes[1].set_xscale("log")
    axes[0].set_ylabel("distance from the nearest LIF [thresholds]")
    axes[0].legend(frameon=False, fontsize=8)
    kinds = [what for what in FAMILIES if any(what in run.lost for run in found)]
    others = [w for w in dict.fromkeys(w for run in found for w in run.lost) if w not in FAMILIES]
    left, right = below.subplots(1, 2)
    _bars(left, found, others, ["C0" if "nearest" in what else "C1" for what in others])
    _bars(right, found, kinds, [FAMILIES[kind] for kind in kinds])
    left.set_title("a layer's neurons to their nearest LIF, or all to one", fontsize=9)
    right.set_title("the neurons of a family to their nearest LIF", fontsize=9)
    for axis in (*axes, left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure


def _bars(axis: Any, found: Sequence[Findings], names: list[str], colours: list[str]) -> None:
    values = [mean_and_spread(run.lost.get(name, 0.0) for run in found) for name in names]
    counts = [statistics.fmean(run.counts.get(name, 0) for run in found) for name in names]
    labels = [f"{name} ({count:.3g})" for name, count in zip(names, counts, strict=True)]
    means, spreads = zip(*values, strict=True)
    axis.barh(labels, means, xerr=spreads, color=colours, capsize=3)
    axis.invert_yaxis()
    axis.axvline(0, color="black", lw=0.8)
    axis.set_xlabel(f"{LOST}, mean ± std (neurons replaced)", fontsize=8)
