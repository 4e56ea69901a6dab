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
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from neurodyn.analysis.modes import eigenvalues, period, time_constant
from neurodyn.analysis.pictures import GUIDE, LEARNED, REFERENCE, layers_of, panels
from neurodyn.analysis.sampling import evenly
from neurodyn.neurons import Neuron

MOST = 128
"""Neurons of a layer that are drawn, evenly spaced."""
FORGOTTEN = 0.05
"""Modes below this size are gone within a step. Only the slowest of a neuron is drawn then."""
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
    drawn = _compared(before, after)
    everything = torch.cat([pairs.flatten() for pairs in drawn.values()])
    left = min(everything.real.min().item(), 0.5) - 0.15
    right = max(everything.real.max().item(), 1.0) + 0.25
    top = max(everything.imag.max().item(), 0.3) + 0.1
    size = 3.9, 0.5 + 3.2 * top / (right - left)
    label = "same time constant τ, or same period [timesteps]"
    guide = Line2D([], [], color=GUIDE, lw=1, label=label)
    figure, axes = _panels(drawn, size, title, [guide, *_marks(before is not None)])
    for axis, pairs in zip(axes, drawn.values(), strict=True):
        axis.set(aspect="equal", xlim=(left, right), ylim=(-0.03, top))
        axis.set_xlabel("real part", fontsize=10)
        axis.set_ylabel("imaginary part", fontsize=10)
        _draw_plane(axis, left, top)
        _draw_pairs(axis, pairs, pairs.real, pairs.imag, before is not None)
    return figure


def plot_modes(before: nn.Module | None, after: nn.Module, *, title: str = "") -> Figure:
    """The modes of `plot_eigenvalues` by time constant and period, both on logarithmic axes.

    In the complex plane slow modes crowd next to 1; here they are told apart. The shaded corner
    holds modes that decay before they have turned, `period > 2 pi tau`. Modes that never turn, or
    never decay, stand in a strip of their own at the edge.

    Args:
        before, after, title: as for `plot_eigenvalues`.
    """
    drawn = _compared(before, after)
    everything = torch.cat([pairs.flatten() for pairs in drawn.values()])
    right, top = _edge(period(everything)), _edge(time_constant(everything))
    figure, axes = _panels(drawn, (3.9, 3.3), title, _marks(before is not None))
    for axis, pairs in zip(axes, drawn.values(), strict=True):
        axis.set(xscale="log", yscale="log")
        _scale(axis, "x", period(everything), right, "none")
        _scale(axis, "y", time_constant(everything), top, "never")
        axis.set_xlabel("period [timesteps]", fontsize=10)
        axis.set_ylabel("time constant [timesteps]", fontsize=10)
        _shade(axis, right / STRIP**2)
        x, y = _placed(period(pairs), right), _placed(time_constant(pairs), top)
        # Side by side in the strip: many neurons may have the same time constant.
        aside = torch.linspace(-0.5, 0.5, len(x), dtype=x.dtype)[:, None]
        x = torch.where(x == right, x * STRIP**aside, x)
        _draw_pairs(axis, pairs, x, y, before is not None)
    return figure


def _compared(before: nn.Module | None, after: nn.Module) -> dict[str, Tensor]:
    """By the title of a layer the modes of some of its neurons, `(M, 2)`: before and after, folded
    to the upper half plane."""
    layers = layers_of(after)
    earlier = layers if before is None else layers_of(before)
    if earlier.keys() != layers.keys():
        raise ValueError(f"before: expected the layers {list(layers)}, got {list(earlier)}")
    return {name: _pairs(earlier[name], neuron) for name, neuron in layers.items()}


def _pairs(before: Neuron, after: Neuron) -> Tensor:
    old, new = (eigenvalues(neuron).flatten(0, -2) for neuron in (before, after))
    chosen = evenly(len(new), MOST)
    pairs = torch.stack([nearest(new[chosen], old[chosen]), new[chosen]], -1)
    drawn = (pairs.abs() > FORGOTTEN).any(-1)
    drawn[:, 0] = True
    # One mode of a complex pair is drawn. Both are if they were real before, or are now.
    pairs = pairs[drawn & (pairs.imag >= 0).any(-1)]
    pairs = torch.where(pairs.abs() < FORGOTTEN, FORGOTTEN, pairs)
    return torch.complex(pairs.real, pairs.imag.abs())


def nearest(new: Tensor, old: Tensor) -> Tensor:
    """The old modes of each neuron, `(N, modes)`, each at the place of the new one that it became:
    the assignment with the smallest sum of distances."""
    distance = (new[..., None] - old[:, None]).abs().numpy()
    places = torch.tensor([linear_sum_assignment(table)[1].tolist() for table in distance])
    return old.gather(1, places)


def _panels(
    drawn: dict[str, Tensor], size: tuple[float, float], title: str, handles: list[Line2D]
) -> tuple[Figure, list[Any]]:
    figure, axes = panels(len(drawn), width=size[0], height=size[1])
    for axis, name in zip(axes, drawn, strict=True):
        axis.set_title(name, fontsize=11)
        axis.tick_params(labelsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    style: dict[str, Any] = {"fontsize": 9, "title_fontsize": 11, "frameon": False, "ncols": 3}
    figure.legend(handles=handles, loc="outside upper center", title=title, **style)
    return figure, axes


def _marks(both: bool) -> list[Line2D]:
    look: dict[str, Any] = {"color": REFERENCE, "mfc": "white", "marker": "o", "ls": ""}
    marks = [Line2D([], [], label="before learning", **look)]
    marks.append(
        Line2D([], [], label="after learning", **look | {"color": LEARNED, "mfc": LEARNED})
    )
    return marks if both else []


def _draw_pairs(axis: Any, pairs: Tensor, x: Tensor, y: Tensor, both: bool) -> None:
    if both:
        lines = torch.stack([x, y], -1).tolist()
        # A mode that began or ceased to turn leaps: its line would hide the others.
        leaps = (pairs.imag > 0).diff(dim=-1).flatten()
        alpha = torch.where(leaps, 0.12, 0.5)
        axis.add_collection(LineCollection(lines, colors=LEARNED, lw=0.7, alpha=alpha, zorder=2))
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
        # Where the arc leaves the panel, at the left or at the top.
        y = min(math.sqrt(max(r * r - max(left, 0.0) ** 2, 0.0)), top - 0.03)
        x = math.sqrt(max(r * r - y * y, 0.0))
        box = {"fc": "white", "ec": "none", "pad": 1}
        axis.text(x + 0.015, y, f"τ = {tau}", bbox=box, zorder=1, **text)
    for turn in PERIODS:
        tip = cmath.rect(1.0, 2 * math.pi / turn)
        axis.plot([0, tip.real], [0, tip.imag], color=GUIDE, lw=0.8, zorder=0)
        if left < tip.real and 1.03 * tip.imag < top - 0.03:
            axis.text(1.03 * tip.real, 1.03 * tip.imag, f"period {turn}", **text)


def _shade(axis: Any, right: float) -> None:
    """Shade where modes decay before they turn, up to a period."""
    (left, end), bottom = axis.get_xlim(), axis.get_ylim()[0]
    right = min(right, end)
    if right < 6 * left or right / (2 * math.pi) <= bottom:
        return
    periods = torch.tensor([left, right], dtype=torch.float64)
    axis.fill_between(periods, periods / (2 * math.pi), bottom, color="#f0f0f0", lw=0, zorder=0)
    text: dict[str, Any] = {"fontsize": 8, "color": "#707070", "ha": "right", "va": "bottom"}
    axis.text(right / 1.05, bottom * 1.05, "decays before it turns", **text)


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
