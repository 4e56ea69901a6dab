"""A picture of what neurons remember: their answers to a single input."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from neurodyn.analysis.modes import eigenvalues, impulse_response, oscillates, period, time_constant
from neurodyn.analysis.pictures import GUIDE, LEARNED, REFERENCE
from neurodyn.analysis.sampling import evenly
from neurodyn.neurons import Neuron


def plot_impulse(
    neuron: Neuron,
    before: Neuron | None = None,
    *,
    steps: int = 100,
    size: float = 0.3,
    rows: int = 6,
    title: str = "",
) -> Figure:
    """The charged membrane after an impulse at step 0, without spikes, of some neurons of a layer.

    They stand in the order of their slowest mode's period, the fastest at the top, and are evenly
    spaced in that order. Neurons that do not turn come last, by their time constant. Each row has
    a scale of its own.

    Args:
        neuron: the layer.
        before: the same layer before learning, drawn in grey.
        steps, size: see `impulse_response`.
        rows: how many neurons, at most.
        title: of the picture, such as that of the layer.
    """
    courses = _courses(neuron, steps, size)
    earlier = None if before is None else _courses(before, steps, size)
    modes = eigenvalues(neuron).flatten(0, -2)
    chosen = _spread(modes[:, 0], rows)
    height = 0.9 + 0.8 * len(chosen)
    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.subplots(len(chosen), 1, sharex=True, squeeze=False).flatten()
    for axis, i in zip(axes, chosen, strict=True):
        axis.axhline(0, color=GUIDE, lw=0.8, zorder=0)
        if earlier is not None:
            axis.plot(earlier[:, i], color=REFERENCE, lw=1.2, label="before learning")
        axis.plot(courses[:, i], color=LEARNED, lw=1.8, label="after learning")
        axis.text(1.02, 0.5, _words(modes[i]), transform=axis.transAxes, fontsize=9, va="center")
        axis.set(xlim=(0, steps - 1), yticks=[])
        axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axis.tick_params(labelsize=9, length=0)
    axes[-1].spines["bottom"].set_visible(True)
    axes[-1].tick_params(length=3)
    axes[-1].set_xlabel("timesteps after the impulse", fontsize=10)
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supylabel("membrane h", fontsize=10)
    shown: Any = axes[0].get_legend_handles_labels() if earlier is not None else ([], [])
    style: dict[str, Any] = {"fontsize": 9, "title_fontsize": 11, "frameon": False, "ncols": 2}
    figure.legend(*shown, loc="outside upper center", title=title, **style)
    return figure


def _courses(neuron: Neuron, steps: int, size: float) -> Tensor:
    return impulse_response(neuron, steps, size).flatten(1)


def _spread(modes: Tensor, count: int) -> list[int]:
    """Some neurons, evenly spaced in the order of their periods, then of their time constants."""
    keys = zip(period(modes).tolist(), time_constant(modes).tolist(), strict=True)
    order = [i for _, i in sorted((key, i) for i, key in enumerate(keys))]
    return [order[place] for place in evenly(len(order), count).tolist()]


def _words(modes: Tensor) -> str:
    """The slowest mode in words."""
    slowest = modes[0]
    tau, turn = time_constant(slowest).item(), period(slowest).item()
    words = f"time constant {_short(tau)}" if 0 < tau < math.inf else "does not decay"
    return f"period {_short(turn)}\n{words}" if bool(oscillates(slowest)) else words


def _short(steps: float) -> str:
    return f"{steps:.1f}" if steps < 10 else f"{steps:,.0f}"
