"""A picture of final results: contenders by row, a dot per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import GUIDE, draw_chance, short_name, styles

SHARE = 10
"""The axis is at least so many times as wide as the seeds of any contender are apart."""


def plot_scores(
    scores: Mapping[str, Sequence[float]],
    *,
    xlabel: str = "test accuracy [%]",
    chance: float | None = None,
    title: str = "",
) -> Figure:
    """Final results: a row per contender in the given order, a dot per seed, a tick at the mean.

    The axis is not cut so close that noise looks like a result. It spans all results, at least ten
    times the largest distance between two seeds of one contender, and at least a tenth of the
    largest result. Percentages end at 0 and 100.

    Args:
        scores: by contender, one result for each seed.
        xlabel: what was measured, with its unit.
        chance: what a guess reaches; a line, where the axis has it.
        title: of the picture.
    """
    rows = {name: list(found) for name, found in scores.items() if found}
    if not rows:
        raise ValueError("scores: expected at least one result, got none")
    figure = Figure(figsize=(6.4, 1.1 + 0.36 * len(rows)), layout="constrained")
    axis = figure.subplots()
    colours = [colour for colour, _ in styles(rows)]
    for place, (found, colour) in enumerate(zip(rows.values(), colours, strict=True)):
        axis.axhline(place, color=GUIDE, lw=0.6, zorder=0)
        dots = [place] * len(found)
        axis.plot(found, dots, "o", color=colour, ms=7, alpha=0.6, mew=0, zorder=2)
        axis.plot([fmean(found)], [place], "|", color=colour, ms=17, mew=2.2, zorder=3)
    axis.set_yticks(range(len(rows)), list(map(short_name, rows)), fontsize=10)
    low, high = limits(list(rows.values()), percent="%" in xlabel)
    axis.set(ylim=(len(rows) - 0.5, -0.5), xlim=(low, high))
    draw_chance(axis, chance, along="x")
    axis.set_xlabel(xlabel, fontsize=10)
    axis.tick_params(axis="x", labelsize=10)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_title(title, fontsize=11)
    return figure


def limits(rows: Sequence[Sequence[float]], *, percent: bool) -> tuple[float, float]:
    """The ends of the axis of `plot_scores`."""
    values = [value for found in rows for value in found]
    low, high = min(values), max(values)
    noise = max(max(found) - min(found) for found in rows)
    width = max(1.1 * (high - low), SHARE * noise, 0.1 * max(abs(low), abs(high))) or 1.0
    if percent:
        width = min(width, 100.0)
    left = (low + high - width) / 2
    if percent:
        left = min(max(left, 0.0), 100.0 - width)
    return left, left + width
