"""Do powers of a neuron's states pay, beside linear neurons with as many parameters?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neurodyn.comparison.folder import by_neuron, finished_runs
from neurodyn.comparison.tables import aligned, number
from neurodyn.comparison.verdict import Spread, ahead, listed, mean_and_spread

Beside = Mapping[str, Sequence[str]]
"""For each non-linear contender the linear ones to hold it against."""


def conclude(folder: Path, beside: Beside) -> tuple[str, Figure]:
    """The table with its sentence, and the picture, of the runs in a folder.

    A non-linear contender is ahead if it is ahead of all linear ones beside it. A single seed has
    no spread, and so no such word.
    """
    runs = finished_runs(folder)
    values = by_neuron(runs, lambda run: run["score"])
    scores = {name: mean_and_spread(group) for name, group in values.items()}
    sizes = {run["neuron"]: run["parameters"] for run in runs}
    pairs = [(k, other) for k in beside for other in beside[k] if {k, other} <= scores.keys()]
    if not pairs:
        raise FileNotFoundError(
            f"folder: expected runs of a non-linear neuron and a linear one beside it in {folder}"
        )
    rows = [["non-linear", "test [%]", "parameters", "is", "linear", "test [%]", "parameters"]]
    found: dict[str, set[str]] = {}
    for name, other in pairs:
        cells = [[k, number(*scores[k], 2), f"{sizes[k]:,}"] for k in (name, other)]
        several = min(len(values[name]), len(values[other])) > 1
        word = standing(scores[name], scores[other]) if several else ""
        found.setdefault(name, set()).add(word)
        rows.append([*cells[0], word, *cells[1]])
    won = [name for name, words in found.items() if words == {"ahead of"}]
    where = f"in {listed(won)}" if won else "in none of these neurons"
    sentence = f"Powers are ahead of every linear neuron beside them {where}."
    table = "\n\n".join([aligned(rows), *([] if {""} in found.values() else [sentence])])
    return table, plot_scores(scores, sizes, beside)


def standing(one: Spread, other: Spread) -> str:
    """How one contender stands to another, in words."""
    if ahead(one, other):
        return "ahead of"
    return "behind" if ahead(other, one) else "level with"


def plot_scores(scores: Mapping[str, Spread], sizes: Mapping[str, int], beside: Beside) -> Figure:
    """The test score of each contender, with the spread over seeds, the best one on top."""
    figure = Figure(figsize=(7.2, 0.9 + 0.32 * len(scores)), layout="constrained")
    axis: Any = figure.subplots()
    names = sorted(scores, key=lambda name: scores[name][0])
    for linear, label, marker in ((True, "linear", "o"), (False, "with powers", "^")):
        places = [i for i, name in enumerate(names) if (name not in beside) == linear]
        if places:
            means, spreads = zip(*(scores[names[i]] for i in places), strict=True)
            axis.errorbar(means, places, xerr=spreads, fmt=marker, capsize=3, label=label)
    axis.set_yticks(range(len(names)), [f"{name}  ({sizes[name]:,})" for name in names])
    axis.set_xlabel("test score [%]")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(frameon=False, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
