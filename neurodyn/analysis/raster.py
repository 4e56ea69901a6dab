"""A picture of the spikes of a network for one sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from neurodyn.analysis.pictures import LEARNED, REFERENCE, layer_names
from neurodyn.analysis.recording import record
from neurodyn.analysis.sampling import evenly

MOST = 200
"""Neurons of a layer that are drawn, evenly spaced."""


def sample_spikes(
    network: nn.Module, x: Tensor, *, run: Callable[[Tensor], Any] | None = None, sample: int = 0
) -> dict[str, Tensor]:
    """The spikes of each layer for one sample, `(T, neurons)`, by a name such as "layer 1".

    Args:
        network, x, run: as for `record`.
        sample: the place of the sample in the batch.
    """
    courses = record(network, x, run=run)
    names = layer_names(courses)
    spikes = [course["spikes"][:, sample].flatten(1) for course in courses.values()]
    return dict(zip(names, spikes, strict=True))


def plot_raster(
    spikes: Mapping[str, Tensor], *, x: Tensor | None = None, title: str = ""
) -> Figure:
    """The spikes of one sample: a panel per layer, a line per neuron, a mark per spike. Several
    spikes in one step are one mark, as many times as wide.

    Args:
        spikes: `(T, neurons)` by the name of the layer, as `sample_spikes` returns them.
        x: the network's input for that sample, `(T, *features)`, drawn above: one number per step
            as a curve, several as an image.
        title: of the picture.
    """
    if not spikes:
        raise ValueError("spikes: expected at least one layer, got none")
    for name, layer in spikes.items():
        if layer.ndim != 2:
            raise ValueError(f"spikes: expected (T, neurons) of {name}, got {tuple(layer.shape)}")
    heights = [max(0.8, min(2.2, 0.025 * layer.shape[1])) for layer in spikes.values()]
    heights = heights if x is None else [0.7, *heights]
    size = (6.4, sum(heights) + 0.4 * len(heights) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    ratios = {"height_ratios": heights}
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw=ratios)
    panels = axes.flatten().tolist()
    for axis in panels:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    if x is not None:
        _draw_input(panels.pop(0), x.detach().cpu().flatten(1))
    for axis, (name, layer) in zip(panels, spikes.items(), strict=True):
        _draw_spikes(axis, layer.detach().cpu())
        axis.set_title(f"{name}, {layer.shape[1]:,} neurons", fontsize=10, loc="left")
        axis.set_ylabel("neuron", fontsize=9)
    steps = max(len(layer) for layer in spikes.values())
    panels[-1].set(xlim=(-0.5, steps - 0.5))
    panels[-1].set_xlabel("timestep", fontsize=9)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_spikes(axis: Any, spikes: Tensor) -> None:
    neurons = spikes.shape[1]
    chosen = evenly(neurons, MOST)
    times, places = spikes[:, chosen].nonzero(as_tuple=True)
    widths = 0.9 * spikes[times, chosen[places]].abs()
    axis.scatter(times, chosen[places], marker="|", s=12, lw=widths, color=LEARNED)
    axis.set(ylim=(neurons - 0.5, -0.5), yticks=[0, neurons - 1] if neurons > 1 else [0])


def _draw_input(axis: Any, x: Tensor) -> None:
    axis.set_title("input", fontsize=10, loc="left")
    if x.shape[1] == 1:
        axis.step(torch.arange(len(x)), x[:, 0], where="mid", color=REFERENCE, lw=1.2)
    else:
        axis.imshow(x.T.numpy(), aspect="auto", cmap="Greys", interpolation="nearest")
