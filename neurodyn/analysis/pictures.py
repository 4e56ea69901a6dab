"""Pictures of learned dynamics and of learning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from neurodyn.analysis.dynamics import family, fixed_points, membrane_map
from neurodyn.analysis.sampling import evenly
from neurodyn.files import written_aside
from neurodyn.neurons import LIF, Neuron, neurons_of

LEARNED, REFERENCE, GUIDE = "#1f6fb4", "#8a8a8a", "#d0d0d0"
CURVES = 24
SHORT = 6
"""Epochs of a training that is shown whole, with a mark at each epoch."""
LEAST = 10.0
"""Percent that the axis of learning curves spans, at least."""
COLUMNS = 4
COLOURS = {
    "lif": "#5a5a5a",
    "plif": "#ff7f0e",
    "qif": "#2ca02c",
    "lnm": "#1f77b4",
    "alif": "#8c564b",
    "adlif": "#d62728",
    "cubalif": "#17becf",
    "multitimescale": "#9467bd",
    "delayed": "#bcbd22",
    "planar": "#e7298a",
    "modal": "#8e0152",
    "brf": "#1b9e77",
}
OTHERS = ["#e377c2", "#a6761d", "#66a61e", "#7570b3", "#386cb0"]
STYLES: list[Any] = ["-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1))]
PLAIN = ("branch", "layer", "neuron")
"""Parts of a module's path that tell a reader nothing."""


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all."""
    with written_aside(path) as aside:
        figure.savefig(aside, dpi=150)


def plot_dynamics(
    model: nn.Module, *, bounds: tuple[float, float] = (-2.0, 1.6), title: str = ""
) -> Figure:
    """A panel per layer of neurons: its map `F(u)` next to that of LIF, with fixed points.

    Filled points attract and open ones repel. A layer with a map per channel or neuron shows some
    of them as thin lines.
    """
    layers = layers_of(model)
    figure, axes = panels(len(layers))
    for axis, (name, neuron) in zip(axes, layers.items(), strict=True):
        _draw_map(axis, neuron, bounds)
        kind = f"\n{family(neuron)}" if neuron.per == "layer" else ""
        axis.set_title(f"{name}{kind}", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=5,
        fontsize=9,
        title_fontsize=11,
        frameon=False,
        title=title,
    )
    return figure


def panels(count: int, *, width: float = 3.1, height: float = 3.0) -> tuple[Figure, list[Any]]:
    """A figure with so many axes, at most four in a row, and room for a legend above them."""
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    size = (max(width * columns, 5.2), height * rows + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def layers_of(model: nn.Module) -> dict[str, Neuron]:
    """The neurons of a model by a title for each layer, such as "layer 1, 64 neurons"."""
    layers = dict(neurons_of(model))
    if not layers:
        raise ValueError("model: expected at least one neuron in it, found none")
    return {
        name + _size(neuron): neuron
        for name, neuron in zip(layer_names(layers), layers.values(), strict=True)
    }


def _size(neuron: Neuron) -> str:
    features = neuron.features or ()
    if features and min(features) > 0:
        return f", {math.prod(features):,} neurons"
    return "" if neuron.per == "layer" else f", {neuron.threshold.numel()} {neuron.per}s"


def layer_names(paths: Iterable[str]) -> list[str]:
    """Readable names for layers of neurons, from their paths in a network, in the same order.

    `body.2` and `body.5` become "layer 1" and "layer 2". Neurons in a residual or attention block
    are named by the block and their place or role in it: "block 2, conv 1", "block 3, query".
    """
    units: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split(".")
        units.setdefault(".".join(parts[:2]), []).append(".".join(parts[2:]))
    names: list[str] = []
    layers = blocks = 0
    for inside in units.values():
        if len(inside) == 1:
            layers += 1
            names.append(f"layer {layers}")
            continue
        blocks += 1
        kind, count = "conv" if any("branch" in rest for rest in inside) else "layer", 0
        for rest in inside:
            roles = [part for part in rest.split(".") if part.isalpha() and part not in PLAIN]
            count += not roles
            names.append(f"block {blocks}, {roles[-1] if roles else f'{kind} {count}'}")
    return names


def _draw_map(axis: Any, neuron: Neuron, bounds: tuple[float, float]) -> None:
    u = torch.linspace(*bounds, 400)
    axis.plot(u, u, color=GUIDE, lw=1, zorder=1, label="F(u) = u")
    # On top: a neuron that stays LIF does not hide it.
    axis.plot(u, membrane_map(LIF(), u), color=REFERENCE, ls="--", lw=1.2, label="LIF", zorder=3)
    curves = membrane_map(neuron, u).flatten(1) if neuron.per != "layer" else None
    threshold = neuron.threshold.detach().float().mean().item()
    if curves is not None:
        chosen = evenly(curves.shape[1], CURVES)
        lines = axis.plot(u, curves[:, chosen], color=LEARNED, lw=0.7, alpha=0.5)
        lines[0].set_label(f"learned, by {neuron.per}")
    else:
        axis.plot(u, membrane_map(neuron, u), color=LEARNED, lw=2, label="learned")
        for point in fixed_points(neuron, bounds=bounds):
            face = LEARNED if point.stable else "white"
            axis.plot(point.u, point.u, "o", color=LEARNED, markerfacecolor=face, ms=6, zorder=4)
    axis.axvline(threshold, color=REFERENCE, lw=0.8, ls=":", label="threshold")
    axis.set_xlabel("u[t-1]", fontsize=10)
    axis.set_ylabel("F(u)", fontsize=10)
    axis.set_xlim(*bounds)
    axis.set_ylim(*bounds)
    axis.tick_params(labelsize=9)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def plot_curves(
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    ylabel: str = "validation accuracy [%]",
    chance: float | None = None,
    title: str = "",
) -> Figure:
    """Learning curves: for each name the mean over runs, and the band between their extremes.

    The axis begins near the end of the lowest curve. Below it all curves climb alike from chance.
    A training of a few epochs is shown whole.

    Args:
        curves: by contender, a curve for each seed, in percent.
        ylabel: what was measured.
        chance: what a guess reaches; a line, where the axis has it.
        title: of the picture.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    draw_curves(axis, curves, chance=chance)
    axis.set_title(title, fontsize=11)
    axis.set_xlabel("epoch")
    axis.set_ylabel(ylabel)
    curve_legend(figure)
    return figure


def draw_curves(
    axis: Any,
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    per_epoch: Mapping[str, float] | None = None,
    chance: float | None = None,
) -> None:
    """Draw learning curves over epochs, or over time if `per_epoch` has it for each name."""
    bands: list[Tensor] = []
    for (name, runs), (colour, style) in zip(curves.items(), styles(curves), strict=True):
        length = min(len(run) for run in runs)
        values = torch.tensor([list(run)[:length] for run in runs], dtype=torch.float64)
        x = torch.arange(1, length + 1) * (per_epoch[name] if per_epoch else 1)
        low, high = values.amin(0), values.amax(0)
        mark = "o" if length <= SHORT else None
        axis.plot(x, values.mean(0), color=colour, ls=style, lw=1.8, label=name, marker=mark, ms=4)
        axis.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        bands.append(high)
    bottom, top = curve_limits(curves, chance=chance)
    axis.set_ylim(bottom, top)
    draw_chance(axis, chance, along="y")
    if not per_epoch:
        # Epochs before any curve reaches the axis would be blank.
        first = min(int((high < bottom).long().argmin()) for high in bands)
        axis.set_xlim(left=max(0.8, first))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)


def draw_chance(axis: Any, chance: float | None, *, along: Literal["x", "y"]) -> None:
    """A line at chance, in percent along an axis; none where the axis does not have it."""
    low, high = axis.get_xlim() if along == "x" else axis.get_ylim()
    if chance is None or not low <= chance <= high:
        return
    text, look = f"chance {chance:.3g} %", {"fontsize": 9, "color": "#606060", "va": "bottom"}
    if along == "x":
        axis.axvline(chance, color=REFERENCE, lw=1, ls=":", zorder=0)
        axis.text(chance, 1.0, text, transform=axis.get_xaxis_transform(), ha="center", **look)
    else:
        axis.axhline(chance, color=REFERENCE, lw=1, ls=":", zorder=0)
        axis.text(1.0, chance, text, transform=axis.get_yaxis_transform(), ha="right", **look)


def curve_limits(
    curves: Mapping[str, Sequence[Sequence[float]]], *, chance: float | None = None
) -> tuple[float, float]:
    """The ends of the axis of learning curves, in percent.

    It begins near the end of the lowest curve, or at chance if that is not far below. It spans at
    least ten points, and at least four times the widest band of the last quarter, so that noise
    does not look like a result.
    """
    lows, highs, noise = [], [], 0.0
    for runs in curves.values():
        length = min(map(len, runs))
        last = length if length <= SHORT else max(2, length // 4)
        ends = [[run[epoch] for run in runs] for epoch in range(length - last, length)]
        lows.append(min(map(min, ends)))
        highs.append(max(max(run[:length]) for run in runs))
        noise = max(noise, *(max(end) - min(end) for end in ends[-max(2, length // 4) :]))
    lowest, highest = min(lows), max(highs)
    room = max(highest - lowest, 1.0)
    top = highest + 0.05 * room
    span = min(max(LEAST, 4 * noise), 100.0)
    bottom = min(lowest, max(lowest - 0.3 * room, 0.0))
    bottom = min(bottom, max(top - span, 0.0))
    if chance is not None and 0 < bottom - chance < room:
        bottom = chance - 0.04 * (top - chance)  # The line does not lie on the axis.
    return bottom, max(top, min(bottom + span, 100.0))


def styles(names: Iterable[str]) -> list[tuple[str, Any]]:
    """A colour and a line style for each name.

    A neuron has the same colour in every picture, unless another contender with that neuron took
    it. Neighbours differ in style, because curves may coincide.
    """
    given: list[tuple[str, Any]] = []
    others = iter(OTHERS * 9)
    for i, name in enumerate(names):
        colour = COLOURS.get(name.partition(":")[0])
        if colour is None or any(colour == taken for taken, _ in given):
            colour = next(others)
        given.append((colour, STYLES[i % len(STYLES)]))
    return given


def curve_legend(figure: Figure) -> None:
    """A legend under the panels, with as many columns as fit."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    labels = [short_name(label) for label in labels]
    room = int(figure.get_figwidth() * 11.5)
    columns = max(1, min(4, room // (max(map(len, labels)) + 8)))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def short_name(contender: str) -> str:
    """A contender with options by their last names: `widths=` for `model.network.widths=`."""
    return re.sub(r"(?<=:)[\w.]*\.(?=\w+=)", "", contender)
