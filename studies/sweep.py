"""A sweep: accuracy over one option of the contenders, a curve for each value of another."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import STYLES
from neurodyn.comparison.tables import Runs, aligned, finished_runs, mean_and_spread, number

Grid = dict[str, dict[str, tuple[float, float]]]
"""For each value of one option and of the other, mean and spread of the test accuracy."""


def write_sweep(folder: Path, over: str, by: str) -> str:
    """Write `sweep.md` and `sweep.png` of the runs in a folder; return the table.

    Args:
        folder: of a comparison whose contenders differ in two options.
        over: the option, a number, along a curve.
        by: the option with a curve for each of its values.
    """
    grid = sweep_grid(finished_runs(folder), over, by)
    if not grid:
        raise FileNotFoundError(f"folder: expected runs with {over!r} and {by!r} in {folder}")
    table = sweep_table(grid, over, by.rpartition(".")[2])
    (folder / "sweep.md").write_text(f"{table}\n")
    plot_sweep(grid, over, by.rpartition(".")[2]).savefig(folder / "sweep.png", dpi=150)
    return table


def sweep_grid(runs: Runs, over: str, by: str) -> Grid:
    """The accuracies of the runs that have both options."""
    accuracies: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        # A contender by a name of its own has no options there, and no place on a curve.
        options = dict(part.split("=", 1) for part in run["neuron"].split(":") if "=" in part)
        if over in options and by in options:
            row = accuracies.setdefault(options[by], {})
            row.setdefault(options[over], []).append(run["accuracy"])
    return {
        value: {x: mean_and_spread(row[x]) for x in sorted(row, key=float)}
        for value, row in accuracies.items()
    }


def sweep_table(grid: Grid, over: str, by: str) -> str:
    """A row a curve, a column a point, `mean ± std` of the test accuracy in percent."""
    columns = sorted({x for row in grid.values() for x in row}, key=float)
    rows = [[by, *(f"{over} {x}" for x in columns)]]
    for value, row in grid.items():
        rows.append([value, *(number(*row[x], 1) if x in row else "" for x in columns)])
    return aligned(rows)


def plot_sweep(grid: Grid, over: str, by: str) -> Figure:
    """The curves, with the spread over seeds as bars."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis = figure.subplots()
    columns = sorted({float(x) for row in grid.values() for x in row})
    for i, (value, row) in enumerate(grid.items()):
        means, spreads = zip(*row.values(), strict=True)
        # Side by side, or the bars of curves that meet would hide each other.
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
