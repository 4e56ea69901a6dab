"""A sweep: the test score over one option of the contenders, with a curve per value of another."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import STYLES
from neurodyn.comparison.folder import Runs, finished_runs
from neurodyn.comparison.tables import aligned, number
from neurodyn.comparison.verdict import Spread, mean_and_spread

Grid = dict[str, dict[str, Spread]]
"""For each value of `by` and each of `over`, mean and spread of the test score."""


def conclude(folder: Path, over: str, by: str) -> tuple[str, Figure]:
    """The table and the picture of the runs in a folder.

    Args:
        folder: of a comparison whose contenders differ in two options.
        over: the option along a curve, a number.
        by: the option with a curve for each value.
    """
    grid = sweep_grid(finished_runs(folder), over, by)
    if not grid:
        raise FileNotFoundError(f"folder: expected runs with {over!r} and {by!r} in {folder}")
    name = by.rpartition(".")[2]
    return sweep_table(grid, over, name), plot_sweep(grid, over, name)


def sweep_grid(runs: Runs, over: str, by: str) -> Grid:
    """The scores of the runs that have both options."""
    scores: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        # A contender with a name of its own shows no options, and has no place on a curve.
        options = dict(part.split("=", 1) for part in run["neuron"].split(":") if "=" in part)
        if over in options and by in options:
            row = scores.setdefault(options[by], {})
            row.setdefault(options[over], []).append(run["score"])
    return {
        value: {x: mean_and_spread(row[x]) for x in sorted(row, key=float)}
        for value, row in scores.items()
    }


def sweep_table(grid: Grid, over: str, by: str) -> str:
    """A row per curve and a column per point: `mean ± std` of the test score in percent."""
    columns = sorted({x for row in grid.values() for x in row}, key=float)
    rows = [[by, *(f"{over} {x}" for x in columns)]]
    for value, row in grid.items():
        rows.append([value, *(number(*row[x], 1) if x in row else "" for x in columns)])
    return aligned(rows)


def plot_sweep(grid: Grid, over: str, by: str) -> Figure:
    """The curves, with the spread over seeds as error bars."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis = figure.subplots()
    columns = sorted({float(x) for row in grid.values() for x in row})
    for i, (value, row) in enumerate(grid.items()):
        means, spreads = zip(*row.values(), strict=True)
        # Shifted, so that error bars of curves that meet do not hide each other.
        aside = 0.006 * i * (columns[-1] - columns[0])
        label, style = f"{by} {value}", STYLES[i % len(STYLES)]
        places = [float(x) + aside for x in row]
        axis.errorbar(
            places, means, spreads, marker="os^D"[i % 4], ls=style, capsize=3, label=label
        )
    axis.set_xticks(columns, [f"{x:g}" for x in columns])
    axis.set_xlabel(over)
    axis.set_ylabel("test accuracy [%]")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure
