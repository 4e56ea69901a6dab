"""Final results: a row per contender, a dot per seed."""

from __future__ import annotations

from statistics import fmean

from neurodyn.analysis.pictures import short_name
from neurodyn.analysis.scores import limits
from neurodyn.comparison.folder import by_neuron
from neurodyn.report.context import Context
from neurodyn.report.html import Markup, el
from neurodyn.report.svg import BOTTOM, TOP, WIDTH, Plot

ROW = 30
LETTER = 7.4
"""Width of a letter of the names, in pixels."""


def show(context: Context) -> Markup | None:
    """The dots, a tick at each mean, and a line at chance."""
    runs, chance = context.folder.finished, context.folder.chance
    if not runs:
        return None
    groups = by_neuron(runs)
    scores = {name: [float(run["score"]) for run in group] for name, group in groups.items()}
    low, high = limits(list(scores.values()), percent=True)
    names = [_cut(short_name(name)) for name in scores]
    plot = Plot(
        (low, high),
        (len(scores) - 0.5, -0.5),
        label=f"Test {context.folder.metric} by contender and seed",
        xlabel=f"test {context.folder.metric} [%]",
        size=(WIDTH, TOP + 12 + BOTTOM + ROW * len(scores)),
        top=TOP + 12,
        left=min(190, 16 + LETTER * max(map(len, names))),
    )
    plot.yticks = [(row, name) for row, name in enumerate(names)]
    for row, (name, values) in enumerate(scores.items()):
        colour = context.colour(name)
        for run, value in zip(groups[name], values, strict=True):
            plot.dot(value, row, f"{colour} seed", f"{name}, seed {run['seed']}: {value:.2f} %", 6)
        at, y = plot.x(fmean(values)), plot.y(row)
        tick = el("path", d=f"M{at:.1f} {y - 10:.1f}v20", class_=f"line {colour}")
        plot.parts.append(tick)
    if chance is not None and low <= chance <= high:
        plot.down(chance, f"chance {chance:.3g} %")
    told = f" Chance is {chance:.3g} %." if chance is not None and chance < low else ""
    words = (
        "Each dot is a seed, and the tick is the mean. The axis is at least ten times as wide as "
        "the seeds of any contender are apart, so that noise does not look like a result."
    ) + told
    return el("figure", plot.render(), el("figcaption", words))


def _cut(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
