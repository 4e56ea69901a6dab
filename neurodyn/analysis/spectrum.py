"""Pictures of the modes of each layer, before and after learning: in the complex plane, and as time
constant against period."""

from __future__ import annotations

import cmath
import math
from typing import Any

import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from torch import Tensor, nn

from neurodyn.analysis.modes import eigenvalues, period, time_constant
from neurodyn.analysis.pictures import GUIDE, LEARNED, REFERENCE, layers_of, panels
from neurodyn.neurons import Neuron

MOST = 128
"""Neurons of a layer that are drawn, evenly spaced."""
FORGOTTEN = 0.05
"""Modes below this size are gone within a step, and are not drawn."""
TAUS = (2, 5, 20)
PERIODS = (3, 4, 6, 8, 12, 20, 50)
STRIP = 1.5
"""Half the width of the strip at an edge, as a factor."""
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
"""Timesteps at which the axes have a label."""


def plot_eigenvalues(before: nn.Module | None, after: nn.Module, *, title: str = "") -> Figure:
    """The eigenvalues of every layer's neurons in the complex plane, before and after learning.

    The distance from the unit circle says how fast a mode decays: on it, never. The angle says how
    fast it turns. Arcs have the same time constant and rays the same period, in timesteps. The half
    below the real axis is the mirror image, and is left out.

    Args:
        before: the network before learning, with the same layers; None draws one state alone.
        after: the network after it.
        title: of the picture.
    """
    figure, drawn = _by_layer(before, after, title, height=3.3)
    everything = torch.cat([pairs.flatten() for _, pairs in drawn])
    left = min(everything.real.min().item(), 0.5) - 0.05
    right = max(everything.real.max().item(), 1.0) + 0.22
    top = max(everything.imag.max().item(), 0.3) + 0.1
    for axis, pairs in drawn:
        axis.set(aspect="equal", xlim=(left, right), ylim=(-0.03, top))
        axis.set_xlabel("real part", fontsize=9)
        axis.set_ylabel("imaginary part", fontsize=9)
        _draw_plane(axis, left, top)
        _draw_pairs(axis, pairs.real, pairs.imag, before is not None)
    return figure


def plot_modes(before: nn.Module | None, after: nn.Module, *, title: str = "") -> Figure:
    """The modes of `plot_eigenvalues` by time constant and period, both on logarithmic axes.

    In the complex plane slow modes crowd next to 1; here they are told apart. The shaded corner
    holds modes that decay before they have turned, `period > 2 pi tau`. Modes that never turn, or
    never decay, stand in a strip of their own at the edge.

    Args:
        before, after, title: as for `plot_eigenvalues`.
    """
    figure, drawn = _by_layer(before, after, title, height=3.3)
    everything = torch.cat([pairs.flatten() for _, pairs in drawn])
    right, top = _edge(period(everything)), _edge(time_constant(everything))
    for axis, pairs in drawn:
        axis.set(xscale="log", yscale="log")
        _scale(axis, "x", period(everything), right, "none")
        _scale(axis, "y", time_constant(everything), top, "never")
        axis.set_xlabel("period [timesteps]", fontsize=9)
        axis.set_ylabel("time constant [timesteps]", fontsize=9)
        _shade(axis, right / STRIP**2)
        x, y = _placed(period(pairs), right), _placed(time_constant(pairs), top)
        # Side by side in the strip: many neurons may have the same time constant.
        aside = torch.linspace(-0.5, 0.5, len(x), dtype=x.dtype)[:, None]
        _draw_pairs(axis, torch.where(x == right, x * STRIP**aside, x), y, before is not None)
    return figure


def _by_layer(
    before: nn.Module | None, after: nn.Module, title: str, height: float
) -> tuple[Figure, list[tuple[Any, Tensor]]]:
    """A figure with a panel for each layer; the panels, and what each shows."""
    layers = layers_of(after)
    earlier = layers if before is None else layers_of(before)
    if earlier.keys() != layers.keys():
        raise ValueError(f"before: expected the layers {list(layers)}, got {list(earlier)}")
    figure, axes = panels(len(layers), width=3.9, height=height)
    drawn = []
    for axis, (name, neuron) in zip(axes, layers.items(), strict=True):
        axis.set_title(name, fontsize=11)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        drawn.append((axis, _pairs(earlier[name], neuron)))
    look: dict[str, Any] = {"color": REFERENCE, "mfc": "white", "marker": "o", "ls": ""}
    marks = [Line2D([], [], label="before learning", **look)]
    marks.append(Line2D([], [], label="after learning", **look | {"color": LEARNED, "mfc": LEARNED}))
    figure.legend(
        handles=[] if before is None else marks,
        loc="outside upper center",
        ncols=2,
        fontsize=9,
        frameon=False,
        title=title,
        title_fontsize=11,
    )
    return figure, drawn


def _pairs(before: Neuron, after: Neuron) -> Tensor:
    """The modes of some neurons, `(M, 2)`: before and after, folded to the upper half plane."""
    old, new = (eigenvalues(neuron).flatten(0, -2) for neuron in (before, after))
    chosen = torch.linspace(0, len(new) - 1, min(MOST, len(new))).long()
    pairs = torch.stack([nearest(new[chosen], old[chosen]), new[chosen]], -1).flatten(0, -2)
    # Of two pairs one is drawn. Two real modes that became a pair are both.
    pairs = pairs[(pairs.imag >= 0).any(-1) & (pairs.abs() > FORGOTTEN).any(-1)]
    return torch.complex(pairs.real, pairs.imag.abs())


def nearest(new: Tensor, old: Tensor) -> Tensor:
    """The old modes of each neuron, `(N, modes)`, each at the place of the new one next to it."""
    distance = (new[..., None] - old[:, None]).abs()
    found = []
    for i in range(new.shape[1]):
        place = distance[:, i].argmin(-1, keepdim=True)
        found.append(old.gather(1, place))
        distance.scatter_(2, place[:, None].expand(-1, new.shape[1], -1), math.inf)
    return torch.cat(found, 1)


def _draw_pairs(axis: Any, x: Tensor, y: Tensor, both: bool) -> None:
    if both:
        lines = torch.stack([x, y], -1).tolist()
        axis.add_collection(LineCollection(lines, colors=LEARNED, lw=0.6, alpha=0.5, zorder=2))
        axis.plot(x[:, 0], y[:, 0], "o", color=REFERENCE, mfc="white", ms=4.5, mew=0.9, zorder=3)
    axis.plot(x[:, 1], y[:, 1], "o", color=LEARNED, ms=4.5, mew=0, alpha=0.85, zorder=4)


def _draw_plane(axis: Any, left: float, top: float) -> None:
    """The unit circle, arcs of the same time constant, rays of the same period."""
    angles = torch.linspace(0, math.pi, 361, dtype=torch.float64)
    axis.axhline(0, color=GUIDE, lw=0.8, zorder=0)
    axis.plot(angles.cos(), angles.sin(), color=REFERENCE, lw=1.2, zorder=1)
    text: dict[str, Any] = {"fontsize": 8, "color": "#707070", "va": "center"}
    for tau in TAUS:
        r = math.exp(-1 / tau)
        axis.plot(r * angles.cos(), r * angles.sin(), color=GUIDE, lw=0.8, zorder=0)
        # Where the arc leaves the panel, or at its highest point.
        x = max(left, 0.0)
        y = math.sqrt(max(r * r - x * x, 0.0))
        if 0 < y < top - 0.03:
            box = {"fc": "white", "ec": "none", "pad": 1}
            axis.text(x + 0.015, y, f"τ = {tau}", bbox=box, zorder=1, **text)
    for turn in PERIODS:
        tip = cmath.rect(1.0, 2 * math.pi / turn)
        axis.plot([0, tip.real], [0, tip.imag], color=GUIDE, lw=0.8, zorder=0)
        if left < tip.real and 1.03 * tip.imag < top - 0.03:
            axis.text(1.03 * tip.real, 1.03 * tip.imag, f"period {turn}", **text)


def _shade(axis: Any, right: float) -> None:
    """Shade where modes decay before they turn, up to a period."""
    left, bottom = axis.get_xlim()[0], axis.get_ylim()[0]
    if right <= left or right / (2 * math.pi) <= bottom:
        return
    periods = torch.tensor([left, right], dtype=torch.float64)
    axis.fill_between(periods, periods / (2 * math.pi), bottom, color="#f0f0f0", lw=0, zorder=0)
    axis.text(
        *(right / 1.05, bottom * 1.05, "decays before it turns"),
        **{"fontsize": 8, "color": "#707070", "ha": "right", "va": "bottom"},
    )


def _edge(values: Tensor) -> float:
    """Where modes stand that have no such time: behind all others."""
    finite = values[values.isfinite() & (values > 0)]
    return STRIP**3 * finite.max().item() if len(finite) else 10.0


def _placed(values: Tensor, edge: float) -> Tensor:
    return torch.where(values.isfinite() & (values > 0), values, edge)


def _scale(axis: Any, which: str, values: Tensor, edge: float, word: str) -> None:
    """Limits and ticks of an axis. The strip at its end is there only if a mode stands in it."""
    placed = _placed(values, edge)
    low, strip = placed.min().item(), bool((placed == edge).any())
    high = edge if strip else edge / STRIP**3
    ticks = [float(t) for t in TICKS if low / 1.3 <= t <= edge / STRIP**2]
    labels = [f"{t:,.0f}" for t in ticks]
    if strip:
        ticks.append(edge)
        labels.append(word)
    axis.set(**{f"{which}lim": (low / 1.3, high * 1.3)})
    side = getattr(axis, f"{which}axis")
    side.set_minor_locator(NullLocator())
    side.set_ticks(ticks, labels)
