"""The report of a comparison: a table in Markdown and JSON, and the learning curves."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodyn.analysis.pictures import plot_curves
from neurodyn.training.provenance import write_json

COLUMNS = (
    ("test accuracy [%]", "accuracy", 1.0, 2),
    ("validation [%]", "val_accuracy", 1.0, 2),
    ("firing rate", "firing_rate", 1.0, 3),
    ("SOPs [k]", "sops", 1e-3, 1),
    ("energy [nJ]", "energy_nJ", 1.0, 1),
    ("parameters", "parameters", 1.0, 0),
    ("training [s]", "seconds", 1.0, 1),
)
"""Heading, key of a result, factor, digits."""


def write_report(
    folder: Path, results: Sequence[dict[str, Any]], curves: dict[str, list[Path]]
) -> str:
    """Write `table.md`, `table.json` and `curves.png`; return the table.

    Args:
        folder: run folder.
        results: one dictionary a run, with its neuron and the keys of `COLUMNS`.
        curves: for each neuron, the log folders of its runs.
    """
    table = markdown_table(results)
    (folder / "table.md").write_text(table + "\n")
    write_json(folder / "table.json", {"runs": list(results), "mean": summary(results)})
    history = {name: [validation_curve(path) for path in paths] for name, paths in curves.items()}
    plot_curves(history).savefig(folder / "curves.png", dpi=150)
    return table


def summary(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """For each neuron and column the mean and the standard deviation over seeds."""
    by_neuron: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_neuron.setdefault(result["neuron"], []).append(result)
    return {
        neuron: {
            key: (
                statistics.fmean(run[key] for run in runs),
                statistics.stdev(run[key] for run in runs) if len(runs) > 1 else 0.0,
            )
            for _, key, _, _ in COLUMNS
        }
        for neuron, runs in by_neuron.items()
    }


def markdown_table(results: Sequence[dict[str, Any]]) -> str:
    """A row a neuron, `mean ± std` over seeds; the spread is left out where it is nothing."""
    rows = [["neuron", *(heading for heading, *_ in COLUMNS)]]
    for neuron, columns in summary(results).items():
        cells = [neuron]
        for _, key, factor, digits in COLUMNS:
            mean, std = (factor * value for value in columns[key])
            spread = f" ± {std:.{digits}f}" if std else ""
            cells.append(f"{mean:,.{digits}f}{spread}")
        rows.append(cells)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


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
