"""The page of results: written from run folders and notes, never by hand.

A folder holds what the page is made of:

    page.md          prose, with a line {{ name: command }} for each table
    <name>.json      the finished runs of a run folder, as `collect` writes it
    <name>*.png      pictures: learning curves, or the curves of a sweep; families of the dynamics
    published.json   figures of papers, by the name of the table that they belong beside
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from neurodyn.analysis.pictures import plot_curves
from neurodyn.training.provenance import read_json, write_json
from neurodyn.training.report import (
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
    for run in runs:
        run["curve"] = validation_curve(run_folder / run.pop("folder") / "log")
    name = run_folder.resolve().name
    diverged = diverged_runs(run_folder)
    write_json(notes / f"{name}.json", {"runs": runs, "diverged": diverged})
    if (sweep := run_folder / "sweep.png").is_file():
        shutil.copy(sweep, notes / f"{name}.png")
    else:
        curves = plot_curves(by_neuron(runs, lambda run: run["curve"]))
        curves.savefig(notes / f"{name}.png", dpi=100)
    if (families := run_folder / "lnm" / "seed-0" / "families.png").is_file():
        shutil.copy(families, notes / f"{name}-families.png")
    return notes / f"{name}.json"


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
        parts = [markdown_table(runs), *casualties(held["diverged"]), origin(runs), *shown]
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
