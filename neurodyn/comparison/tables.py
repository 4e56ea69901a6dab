"""The report of a run folder: a table in Markdown and JSON, and the learning curves."""

from __future__ import annotations

import csv
import shlex
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from neurodyn.analysis.pictures import plot_curves
from neurodyn.comparison.clock import seconds_to
from neurodyn.comparison.provenance import read_json, write_json

COLUMNS = (
    ("test accuracy [%]", "accuracy", 1.0, 2),
    ("validation [%]", "val_accuracy", 1.0, 2),
    ("firing rate", "firing_rate", 1.0, 3),
    ("spikes", "spikes", 1.0, 0),
    ("SOPs [k]", "sops", 1e-3, 1),
    ("energy [nJ]", "energy_nJ", 1.0, 1),
    ("parameters", "parameters", 1.0, 0),
    ("training [s]", "seconds", 1.0, 1),
)
"""Heading, key of a result, factor, digits."""

Runs = Sequence[dict[str, Any]]


def write_report(folder: Path) -> str:
    """Write `table.md`, `table.json` and `curves.png` of all finished runs; return the table."""
    runs, lost = finished_runs(folder), diverged_runs(folder)
    if not runs:
        reasons = "".join(f"; {line}" for line in casualties(lost))
        raise FileNotFoundError(f"folder: expected finished runs in {folder}, found none{reasons}")
    table = "\n\n".join([markdown_table(runs), *casualties(lost)])
    (folder / "table.md").write_text(f"{table}\n\n{origin(runs)}\n")
    write_json(folder / "table.json", {"runs": runs, "diverged": lost, "mean": summary(runs)})
    history = by_neuron(runs, lambda run: validation_curve(folder / run["folder"] / "log"))
    plot_curves(history).savefig(folder / "curves.png", dpi=150)
    return table


def finished_runs(folder: Path) -> list[dict[str, Any]]:
    """The results in a run folder, each with its place there, in the order of their neurons' first
    start."""
    runs = []
    for path in folder.glob("*/seed-*/result.json"):
        runs.append({**read_json(path), "folder": path.parent.relative_to(folder).as_posix()})
    first = {name: min(dates) for name, dates in by_neuron(runs, _begun).items()}
    return sorted(runs, key=lambda run: (first[run["neuron"]], run["neuron"], run["seed"]))


def diverged_runs(folder: Path) -> Runs:
    """The runs in a run folder whose numbers stopped being finite."""
    paths = sorted(folder.glob("*/seed-*/diverged.json"))
    return [read_json(path) for path in paths]


def casualties(diverged: Runs) -> list[str]:
    """A line for each neuron among them, with the reason of its first seed."""
    return [
        f"{neuron}, {_seeds([run['seed'] for run in lost])}, diverged: {lost[0]['why']}"
        for neuron, lost in by_neuron(diverged, lambda run: run).items()
    ]


def _seeds(seeds: list[int]) -> str:
    *others, last = map(str, seeds)
    return f"seeds {', '.join(others)} and {last}" if others else f"seed {last}"


def by_neuron(runs: Runs, value: Any) -> dict[str, list[Any]]:
    """For each neuron the values of its runs."""
    groups: dict[str, list[Any]] = {}
    for run in runs:
        groups.setdefault(run["neuron"], []).append(value(run))
    return groups


def summary(runs: Runs) -> dict[str, dict[str, tuple[float, float]]]:
    """For each neuron and column the mean and the standard deviation over seeds."""
    return {
        neuron: {key: mean_and_spread(run[key] for run in group) for _, key, _, _ in COLUMNS}
        for neuron, group in by_neuron(runs, lambda run: run).items()
    }


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; 0 for a single value."""
    values = list(values)
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def markdown_table(runs: Runs) -> str:
    """A row a neuron, `mean ± std` over seeds; the spread is left out where it is nothing."""
    seeds = by_neuron(runs, lambda run: run["seed"])
    targets = _distinct(run["target"] for run in runs if run.get("target"))
    times = [f"time to {target:g} % [s]" for target in targets]
    rows = [["neuron", "seeds", *(heading for heading, *_ in COLUMNS), *times]]
    for neuron, columns in summary(runs).items():
        cells = [neuron, str(len(seeds[neuron]))]
        for _, key, factor, digits in COLUMNS:
            mean, spread = (factor * value for value in columns[key])
            cells.append(number(mean, spread, digits))
        group = [run for run in runs if run["neuron"] == neuron]
        rows.append([*cells, *(_time_to(group, target) for target in targets)])
    return aligned(rows)


def _time_to(runs: Runs, accuracy: float) -> str:
    """Mean and spread over the runs that got there, and how many of those asked did not."""
    asked = [seconds_to(run, accuracy) for run in runs if run.get("target") == accuracy]
    reached = [seconds for seconds in asked if seconds is not None]
    time = [number(*mean_and_spread(reached), 1)] if reached else []
    missed = len(asked) - len(reached)
    return ", ".join([*time, *([f"{missed} of {len(asked)} not"] if missed else [])])


def number(mean: float, spread: float, digits: int) -> str:
    """`mean ± spread`, or the mean alone where all values are one."""
    return f"{mean:,.{digits}f}" + (f" ± {spread:,.{digits}f}" if spread else "")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in lines
    )


def origin(runs: Runs) -> str:
    """What made the runs: commands, versions, machines, days, wall time."""
    starts = [start for run in runs for start in run["starts"]]
    epochs = _distinct(str(run["epochs"]) for run in runs)
    days = sorted(start["date"][:10] for start in starts)
    torch = _distinct(start["packages"]["torch"] for start in starts)
    machines = _distinct(_machine(start) for start in starts)
    commands = _distinct(shlex.join(start["command"]) for start in starts)
    hours = sum(run["seconds"] for run in runs) / 3600
    return "\n".join(
        [
            *("```", *commands, "```"),
            f"{' or '.join(epochs)} epochs; {commits(runs)}; "
            f"PyTorch {', '.join(torch)}, on {' and '.join(machines)}; "
            f"{' to '.join(_distinct([days[0], days[-1]]))}; {hours:.2f} hours of training in all.",
        ]
    )


def commits(runs: Runs) -> str:
    """What code made the runs: one commit, or each with the neurons whose runs it began.

    Of more than two commits of a neuron, the first and the last are named; `+` marks uncommitted
    changes.
    """
    by_code: dict[str, list[str]] = {}
    for neuron, starts in by_neuron(runs, lambda run: run["starts"]).items():
        codes = _distinct(_code(start) for group in starts for start in group)
        made = f"{codes[0]} to {codes[-1]}" if len(codes) > 2 else ", ".join(codes)
        by_code.setdefault(made, []).append(neuron)
    most = max(by_code, key=lambda made: len(by_code[made]))
    if len(by_code) == 1:
        text = f"commit {most}"
    else:
        others = {made: ", ".join(names) for made, names in by_code.items() if made != most}
        rest = "the others" if len(by_code[most]) > 1 else by_code[most][0]
        parts = [f"{names}: {made}" for made, names in others.items()]
        text = f"commits: {'; '.join([*parts, f'{rest}: {most}'])}"
    return f"{text} (+ with uncommitted changes)" if "+" in "".join(by_code) else text


def _code(start: dict[str, Any]) -> str:
    git = start["git"]
    if not git:
        return f"of release {start['neurodyn']}"
    commit: str = git["commit"][:7]
    return f"{commit}+" if git["changed"] else commit


def _machine(start: dict[str, Any]) -> str:
    machine = start["machine"]
    threads = machine["threads"]
    count = f"{threads} thread{'s' if threads > 1 else ''}"
    return machine["gpu"] or f"{count} of {machine['processor']}"


def _begun(run: dict[str, Any]) -> str:
    date: str = run["starts"][0]["date"]
    return date


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def validation_curve(log: Path) -> list[float]:
    """Validation accuracy in percent, by epoch, from the logs of a run and its resumptions."""
    accuracy: dict[int, float] = {}
    for part in sorted(log.glob("version_*"), key=lambda path: int(path.name.split("_")[1])):
        if not (part / "metrics.csv").is_file():
            continue  # interrupted before its first epoch was written
        with (part / "metrics.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row.get("val_accuracy"):
                    # An epoch that was repeated after an interruption counts once, as it ended.
                    accuracy[int(row["epoch"])] = 100 * float(row["val_accuracy"])
    return [accuracy[epoch] for epoch in sorted(accuracy)]
