"""The page of results: written from run folders and notes, never by hand.

The notes are a folder:

    page.md          prose, with a line {{ name: command }} for each table, {{ summary }} where the
                     overview of all tasks stands, and {{ owed }} for what was not run
    <name>.json      finished runs of a run folder and the table of its study, from `collect`
    <name>*.png      pictures: learning curves or what a study drew; families of dynamics
    published.json   figures from papers, with the name of the table that they are shown under
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neurodyn.analysis.pictures import save
from neurodyn.comparison.families import History, changes, mean_shares, plot_shares
from neurodyn.comparison.folder import (
    diverged_runs,
    finished_runs,
    write_json,
)
from neurodyn.comparison.overview import SUMMARY, TABLE, owed_last, summary
from neurodyn.comparison.provenance import origin
from neurodyn.comparison.tables import aligned, number, plot_learning, results_table
from neurodyn.files import read_json, write

WIDEST = 3
"""Contenders in a picture of families, at most: the last ones whose families changed."""


def collect(run_folder: Path, notes: Path) -> Path:
    """Copy the finished runs of a run folder into the notes, under the folder's name.

    Args:
        run_folder: the folder of a comparison.
        notes: the folder of notes.

    Returns:
        The file with the results.
    """
    runs = finished_runs(run_folder)
    if not runs:
        raise FileNotFoundError(f"folders: expected finished runs in {run_folder}, found none")
    name = run_folder.resolve().name
    held: dict[str, Any] = {"runs": runs, "diverged": diverged_runs(run_folder)}
    study = run_folder / "study.md"
    held["tables"] = [study.read_text().strip()] if study.is_file() else []
    histories: dict[str, list[History]] = {}
    for run in runs:
        home = run_folder / run.pop("folder")
        if (home / "families.json").is_file():
            histories.setdefault(run["neuron"], []).append(read_json(home / "families.json"))
    shares = {neuron: mean_shares(group) for neuron, group in histories.items()}
    families = {neuron: rows for neuron, rows in shares.items() if changes(rows)}
    held["families"] = families
    if (picture := study.with_suffix(".png")).is_file():
        write(notes / f"{name}.png", picture.read_bytes())
    else:
        save(plot_learning(runs), notes / f"{name}.png")
    if families:
        shown = dict(list(families.items())[-WIDEST:])
        save(plot_shares(shown), notes / f"{name}-families.png")
    write_json(notes / f"{name}.json", held)
    return notes / f"{name}.json"


def check_listed(notes: Path, names: Iterable[str]) -> None:
    """Check that the page has a line for each of some tables.

    Raises:
        ValueError: one has none.
    """
    template = notes / "page.md"
    if not template.is_file():
        raise FileNotFoundError(
            f"notes: expected the prose of the page in {template}, found none; run this in a "
            "checkout of the source, or write one. A run folder has its own table.md"
        )
    listed = {match[1] for match in TABLE.finditer(template.read_text())}
    for name in names:
        if name not in listed:
            raise ValueError(
                f"notes: {notes / name}.json belongs to no line of {template}, "
                f"expected {{{{ {name}: command }}}}"
            )


def write_page(notes: Path, page: Path) -> str:
    """Write the page from its notes; return it."""
    paths = sorted(notes.glob("[!.]*.json"))
    check_listed(notes, [path.stem for path in paths if path.stem != "published"])
    held = {path.stem: read_json(path) for path in paths if path.stem != "published"}
    prose = (notes / "page.md").read_text()
    if SUMMARY in prose:
        prose = prose.replace(SUMMARY, summary(prose, held))
    prose = owed_last(prose, held)
    images = notes.resolve().relative_to(page.resolve().parent)
    text = TABLE.sub(lambda match: _table(notes, images, match[1], match[2]), prose)
    write(page, text)
    return text


def _table(notes: Path, images: Path, name: str, command: str) -> str:
    """The table of what was run, or a note that it was not; and figures from papers."""
    path = notes / f"{name}.json"
    parts = [f"**Not run yet.** The command:\n```\n{command}\n```"]
    if path.is_file():
        held = read_json(path)
        runs = held["runs"]
        pictures = sorted(notes.glob(f"{name}.png")) + sorted(notes.glob(f"{name}-families.png"))
        shown = [f"![{picture.stem}]({images}/{picture.name})" for picture in pictures]
        table = results_table(runs, held["diverged"])
        parts = [table, *held.get("tables", []), origin(runs), *shown]
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
