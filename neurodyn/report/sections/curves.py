"""Learning curves: mean and band over the seeds of each contender."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from neurodyn.analysis.pictures import SHORT, curve_limits, short_name
from neurodyn.comparison.verdict import listed
from neurodyn.report.context import Context, note
from neurodyn.report.folder import curves_of
from neurodyn.report.html import Markup, el
from neurodyn.report.svg import Plot, short

Curves = dict[str, list[list[float]]]


def show(context: Context) -> Markup:
    """The curves, and the values at an epoch that is pointed at."""
    folder = context.folder
    whole = curves_of([run for run in folder.runs if run.state == "finished"])
    broken = [run for run in folder.runs if run.state != "finished" and run.curve]
    every = {**whole, **{run.name: [run.curve] for run in broken}}
    if not every:
        return note("No run has a learning curve: none finished an epoch, or the log is missing.")
    longest = max(len(run) for runs in every.values() for run in runs)
    low, high = curve_limits(every, chance=folder.chance)
    room = max(0.02 * (longest - 1), 0.05)
    plot = Plot(
        (1 - room, longest + room),
        (low, high),
        label=f"Validation {folder.metric} by epoch",
        xlabel="epoch",
        ylabel=f"validation {folder.metric} [%]",
        whole=True,
    )
    hover = [_draw(plot, context, name, runs) for name, runs in whole.items()]
    for run in broken:
        plot.line(enumerate(run.curve, start=1), f"{context.colour(run.neuron)} thin")
        plot.dot(len(run.curve), run.curve[-1], f"{context.colour(run.neuron)} open", run.name)
    if folder.chance is not None and low <= folder.chance <= high:
        plot.across(folder.chance, f"chance {folder.chance:.3g} %")
    context.data["curves"] = {
        "x": [plot.x.start, plot.x.end, plot.x.low, plot.x.high],
        "epochs": longest,
        "series": hover,
    }
    shown = [*whole, *(run.neuron for run in broken)]
    entries = [
        el("span", _mark(context.colour(n)), short_name(n), class_="entry")
        for n in dict.fromkeys(shown)
    ]
    return el(
        "figure",
        el("p", entries, class_="legend"),
        _inside(plot),
        el(
            "p",
            "Point at the curves to read the values of an epoch.",
            class_="readout",
            id="readout",
            aria_live="polite",
        ),
        el("figcaption", " ".join(_words(low, bool(broken), whole))),
    )


def _inside(plot: Plot) -> Markup:
    plot.parts = [plot.window(plot.under, plot.parts)]
    plot.under = []
    rule = el("line", y1=plot.y.start, y2=plot.y.end, class_="rule", id="rule", hidden=True)
    plot.parts.append(rule)
    return plot.render(id="curves")


def _mark(colour: str) -> Markup:
    """A piece of a contender's line."""
    line = el("path", d="M0 5H30", class_=f"line dashed {colour}")
    return el("svg", line, viewBox="0 0 30 10", class_="mark", aria_hidden="true")


def _draw(plot: Plot, context: Context, name: str, runs: Sequence[Sequence[float]]) -> object:
    """Draw a contender; return what the script needs to tell its values."""
    length = min(map(len, runs))
    values = [[run[epoch] for run in runs] for epoch in range(length)]
    means = [fmean(each) for each in values]
    lows, highs = list(map(min, values)), list(map(max, values))
    epochs = range(1, length + 1)
    if len(runs) > 1:
        plot.band(epochs, lows, highs, context.colour(name))
    plot.line(zip(epochs, means, strict=True), f"{context.colour(name)} dashed")
    if length <= SHORT:
        for epoch, mean in zip(epochs, means, strict=True):
            plot.dot(epoch, mean, context.colour(name), r=3.5)
    rows = [[round(v, 2) for v in row] for row in zip(means, lows, highs, strict=True)]
    return {"name": short_name(name), "rows": rows, "class": context.colour(name)}


def _words(low: float, broken: bool, whole: Curves) -> list[str]:
    words = ["Lines are means over seeds, bands reach from the lowest to the highest seed."]
    low = round(low, 1)
    if low > 0:
        words.append(f"The vertical axis begins at {short(low)}, not at 0.")
    if broken:
        words.append("Thin lines with an open end are runs that stopped.")
    same = [pair for pair in combinations(whole, 2) if whole[pair[0]] == whole[pair[1]]]
    words += [f"The curves of {listed(map(short_name, pair))} are equal." for pair in same]
    return words
