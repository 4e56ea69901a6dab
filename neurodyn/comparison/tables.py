"""Tables of runs in Markdown, and the report that a run folder gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import plot_curves, save
from neurodyn.analysis.scores import plot_scores
from neurodyn.comparison.clock import seconds_to
from neurodyn.comparison.folder import (
    Runs,
    by_neuron,
    curves,
    distinct,
    diverged_runs,
    finished_runs,
    write_json,
)
from neurodyn.comparison.provenance import origin
from neurodyn.comparison.verdict import Spread, listed, mean_and_spread, verdict
from neurodyn.files import write

COLUMNS = (
    ("test {metric} [%]", "score", 1.0, 2),
    ("validation [%]", "val_score", 1.0, 2),
    ("firing rate", "firing_rate", 1.0, 3),
    ("spikes", "spikes", 1.0, 0),
    ("SOPs [k]", "sops", 1e-3, 1),
    ("energy [nJ]", "energy_nJ", 1.0, 1),
    ("parameters", "parameters", 1.0, 0),
    ("training [s]", "seconds", 1.0, 1),
)
"""Heading, key of a result, factor, digits."""

SCORES = 2
"""Columns of scores, behind which those stand that a task has beside them."""


def write_report(folder: Path) -> str:
    """Write tables and pictures of all finished runs; return the table.

    If every run diverged, the table is only who did and why.
    """
    runs, lost = finished_runs(folder), diverged_runs(folder)
    if not runs and not lost:
        raise FileNotFoundError(f"folder: expected finished runs in {folder}, found none")
    if not runs:
        table = "\n\n".join(casualties(lost))
        write(folder / "table.md", f"{table}\n")
        return table
    table = results_table(runs, lost)
    write(folder / "table.md", f"{table}\n\n{origin(runs)}\n")
    write_json(folder / "table.json", {"runs": runs, "diverged": lost, "mean": summary(runs)})
    scores = by_neuron(runs, lambda run: run["score"])
    label = f"test {runs[0]['metric']} [%]"
    save(plot_scores(scores, xlabel=label, chance=chance(runs)), folder / "scores.png")
    save(plot_learning(runs), folder / "curves.png")
    return table


def write_study(folder: Path, table: str, figure: Figure) -> str:
    """Write what a study shows besides its runs, `study.md` and `study.png`; return the table."""
    write(folder / "study.md", f"{table}\n")
    save(figure, folder / "study.png")
    return table


def results_table(runs: Runs, diverged: Runs) -> str:
    """The table of the runs, and under it who is ahead and which runs diverged."""
    return "\n\n".join([markdown_table(runs), *verdict(runs), *casualties(diverged)])


def casualties(diverged: Runs) -> list[str]:
    """For each neuron with diverged runs a line with their seeds, and the reason of the first."""
    return [
        f"{neuron}, seed{'s' * (len(lost) > 1)} {listed(run['seed'] for run in lost)}, "
        f"diverged: {lost[0]['why']}"
        for neuron, lost in by_neuron(diverged).items()
    ]


def summary(runs: Runs) -> dict[str, dict[str, Spread]]:
    """For each neuron and column the mean and the standard deviation over seeds."""
    return {
        neuron: {key: mean_and_spread(run[key] for run in group) for _, key, _, _ in COLUMNS}
        for neuron, group in by_neuron(runs).items()
    }


def markdown_table(runs: Runs) -> str:
    """The table of `table_rows` in Markdown."""
    return aligned(table_rows(runs))


def table_rows(runs: Runs) -> list[list[str]]:
    """A row per neuron with `mean ± std` over seeds, behind a row of headings. A spread of zero is
    not shown."""
    groups = by_neuron(runs)
    targets = distinct(run["target"] for run in runs if run.get("target"))
    times = [f"time to {target:g} % [s]" for target in targets]
    headings = [heading.format(metric=runs[0]["metric"]) for heading, *_ in COLUMNS]
    beside = distinct(heading for run in runs for heading in run["beside"])
    headings[SCORES:SCORES] = beside
    rows = [["neuron", "seeds", *headings, *times]]
    for neuron, columns in summary(runs).items():
        cells = []
        for _, key, factor, digits in COLUMNS:
            mean, spread = (factor * value for value in columns[key])
            cells.append(number(mean, spread, digits))
        group = groups[neuron]
        cells[SCORES:SCORES] = [_beside(group, heading) for heading in beside]
        cells += [_time_to(group, target) for target in targets]
        rows.append([neuron, str(len(group)), *cells])
    return rows


def _beside(runs: Runs, heading: str) -> str:
    values = [run["beside"][heading] for run in runs if heading in run["beside"]]
    return number(*mean_and_spread(values), 2) if values else ""


def _time_to(runs: Runs, score: float) -> str:
    """Mean and spread over the runs that reached it, and how many did not."""
    asked = [seconds_to(run, score) for run in runs if run.get("target") == score]
    reached = [seconds for seconds in asked if seconds is not None]
    time = [number(*mean_and_spread(reached), 1)] if reached else []
    missed = len(asked) - len(reached)
    return ", ".join([*time, *([f"{missed} of {len(asked)} not"] if missed else [])])


def chance(runs: Runs) -> float | None:
    """The accuracy of a guess, in percent, `100 / classes`; None if the task has none."""
    counts = next((run["confusion"] for run in runs if run.get("confusion")), None)
    if not isinstance(counts, list) or any(run["metric"] != "accuracy" for run in runs):
        return None
    return 100 / len(counts)


def plot_learning(runs: Runs) -> Figure:
    """The learning curves of runs, with a line at chance."""
    return plot_curves(curves(runs), ylabel=curve_label(runs), chance=chance(runs))


def curve_label(runs: Runs) -> str:
    """What the axis of the runs' validation curves shows."""
    return f"validation {runs[0]['metric']} [%]"


def number(mean: float, spread: float, digits: int) -> str:
    """`mean ± spread`, or the mean alone if the spread is zero."""
    return f"{mean:,.{digits}f}" + (f" ± {spread:,.{digits}f}" if spread else "")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in lines
    )
