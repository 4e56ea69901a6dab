"""The page of results: written from run folders and notes, never by hand.

A folder holds what the page is made of:

    page.md          prose, with a line {{ name: command }} for each table
    <name>.json      a run folder's finished runs and its study's tables, from `collect`
    <name>*.png      pictures: learning curves, or what a study drew; families of the dynamics
    published.json   figures of papers, by the name of the table that they belong beside
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from neurodyn.analysis.pictures import plot_curves
from neurodyn.comparison.families import History, changes, mean_shares, plot_shares
from neurodyn.comparison.provenance import read_json, write_json
from neurodyn.comparison.tables import (
    aligned,
    by_neuron,
    casualties,
    diverged_runs,
    finished_runs,
    markdown_table,
    number,
    origin,
    validation_curve,
)

TABLE = re.compile(r"^\{\{ ([\w.-]+): (.+) \}\}$", re.MULTILINE)

STUDIED = ("convergence", "leaving", "sweep")
"""What studies leave in their run folder besides the runs: a table and a picture of that name."""

DPI = 150
WIDEST = 3


def collect(run_folder: Path, notes: Path) -> Path:
    """Put the finished runs of a run folder among the notes, under the folder's name.

    Args:
        run_folder: of a comparison.
        notes: what the page is made of.

    Returns:
        The file with the results.
    """
    runs = finished_runs(run_folder)
    if not runs:
        raise FileNotFoundError(f"folders: expected finished runs in {run_folder}, found none")
    name = run_folder.resolve().name
    held: dict[str, Any] = {"runs": runs, "diverged": diverged_runs(run_folder)}
    held["tables"] = [
        path.read_text().strip()
        for kind in STUDIED
        if (path := run_folder / f"{kind}.md").is_file()
    ]
    histories: dict[str, list[History]] = {}
    for run in runs:
        home = run_folder / run.pop("folder")
        run["curve"] = validation_curve(home / "log")
        if (home / "families.json").is_file():
            histories.setdefault(run["neuron"], []).append(read_json(home / "families.json"))
    shares = {neuron: mean_shares(group) for neuron, group in histories.items()}
    held["families"] = {neuron: rows for neuron, rows in shares.items() if changes(rows)}
    write_json(notes / f"{name}.json", held)
    drawn = [path for kind in STUDIED if (path := run_folder / f"{kind}.png").is_file()]
    if drawn:
        shutil.copy(drawn[0], notes / f"{name}.png")
    draw(notes / f"{name}.json", curves=not drawn)
    return notes / f"{name}.json"


def draw(path: Path, *, curves: bool = True) -> None:
    """Draw the pictures of a file of results beside it: learning curves, and the families of the
    dynamics, of at most `WIDEST` contenders whose dynamics changed."""
    held = read_json(path)
    if curves:
        figure = plot_curves(by_neuron(held["runs"], lambda run: run["curve"]))
        figure.savefig(path.with_suffix(".png"), dpi=DPI)
    if families := dict(list(held.get("families", {}).items())[-WIDEST:]):
        plot_shares(families).savefig(path.with_name(f"{path.stem}-families.png"), dpi=DPI)


def write_page(notes: Path, page: Path) -> str:
    """Write the page from its notes; return it."""
    template = notes / "page.md"
    if not template.is_file():
        raise FileNotFoundError(f"notes: expected {template}, the page's prose, found none")
    prose = template.read_text()
    listed = {match[1] for match in TABLE.finditer(prose)}
    for path in notes.glob("*.json"):
        if path.stem not in listed and path.stem != "published":
            raise ValueError(
                f"notes: {path} is on no line {{{{ {path.stem}: command }}}} of {template}"
            )
    images = notes.resolve().relative_to(page.resolve().parent)
    text = TABLE.sub(lambda match: _table(notes, images, match[1], match[2]), prose)
    page.write_text(text)
    return text


def _table(notes: Path, images: Path, name: str, command: str) -> str:
    """What was run, or that it is owed, and the papers' figures beside it."""
    path = notes / f"{name}.json"
    parts = [f"**Not run yet.** The command:\n```\n{command}\n```"]
    if path.is_file():
        held = read_json(path)
        runs = held["runs"]
        pictures = sorted(notes.glob(f"{name}.png")) + sorted(notes.glob(f"{name}-families.png"))
        shown = [f"![{picture.stem}]({images}/{picture.name})" for picture in pictures]
        table = [markdown_table(runs), *casualties(held["diverged"])]
        parts = [*table, *held.get("tables", []), origin(runs), *shown]
    published = notes / "published.json"
    rows = [
        [
            paper["method"],
            paper["network"],
            str(paper["timesteps"]),
            number(paper["accuracy"], paper.get("std", 0.0), 2),
            paper["source"],
        ]
        for paper in (read_json(published) if published.is_file() else [])
        if paper["table"] == name
    ]
    if rows:
        heading = ["published", "network", "T", "test accuracy [%]", "source"]
        parts.append(aligned([heading, *rows]))
    return "\n\n".join(parts)
