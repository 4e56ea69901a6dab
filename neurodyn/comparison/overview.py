"""The overview of the page of results: tasks by neurons, and what was not run yet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from neurodyn.comparison.folder import by_neuron
from neurodyn.comparison.tables import aligned, number
from neurodyn.comparison.verdict import Spread, mean_and_spread, unbeaten

TABLE = re.compile(r"^\{\{ ([\w.-]+): (.+) \}\}$", re.MULTILINE)
"""The line of a table in the prose: its name and its command."""

SUMMARY, OWED = "{{ summary }}", "{{ owed }}"
"""The lines of the prose where the overview and the sections that were not run stand."""

USUAL = 3
"""Tasks in which a contender appears, at least, to have a column of its own."""

Held = Mapping[str, dict[str, Any]]
"""What was run, by the name of its table."""


def summary(prose: str, held: Held) -> str:
    """A row per task that was run, a column per contender that many tasks have.

    A task is a table whose command is a comparison. In bold are the contenders that no other one of
    the same table is ahead of, whether that has a column or not.
    """
    runs = {
        match[1]: held[match[1]]["runs"]
        for match in TABLE.finditer(prose)
        if match[2].startswith("neurodyn compare") and match[1] in held
    }
    tasks = {name: _spreads(group) for name, group in runs.items()}
    counts = Counter(_plain(neuron) for spreads in tasks.values() for neuron in spreads)
    columns = [neuron for neuron, count in counts.items() if count >= USUAL]
    titles = {name: _heading_above(prose, name) for name in tasks}
    rows = [["task", *columns, "best of the others"]]
    for name, spreads in tasks.items():
        best = unbeaten(runs[name])
        shown: dict[str, str] = {}
        others = {}
        for neuron, spread in spreads.items():
            plain = _plain(neuron)
            if plain in columns and plain not in shown:
                shown[plain] = _cell(spread, neuron in best)
            else:
                others[neuron] = spread
        other = ""
        if others:
            first = max(others, key=lambda neuron: others[neuron][0])
            other = f"{first} {_cell(others[first], first in best)}"
        title = titles[name]
        task = f"[{title}](#{slug(title)})" if title else name
        if next(one for one in titles if titles[one] == title) != name:
            task = f"{task}, `{name}`"
        if (metric := runs[name][0]["metric"]) != "accuracy":
            task = f"{task}, {metric}"
        rows.append([task, *(shown.get(column, "") for column in columns), other])
    return aligned(rows)


def owed_last(prose: str, held: Held) -> str:
    """The prose with the sections of which nothing was run moved to the line `{{ owed }}`, one
    level lower, behind links to sections that are run in part. Without that line it stays as it is.
    """
    if OWED not in prose:
        return prose
    start, *sections = re.split(r"(?m)^(?=## )", prose)
    kept, moved, parts = [start], [], []
    for section in sections:
        missing = [match for match in TABLE.finditer(section) if match[1] not in held]
        whole = len(missing) == len(TABLE.findall(section)) and "\n### " not in section
        if missing and whole:
            moved.append(f"#{section}".rstrip())
            continue
        kept.append(section)
        title = section.splitlines()[0].removeprefix("## ")
        parts += [f"- [{title}](#{slug(title)}): `{match[2]}`" for match in missing]
    lists = ["\n".join(parts)] if parts else []
    owed = "\n\n".join([*lists, *moved]) or "Nothing: all tables were run."
    return "".join(kept).replace(OWED, owed).rstrip() + "\n"


def slug(title: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _heading_above(prose: str, name: str) -> str:
    before = prose.partition(f"{{{{ {name}: ")[0]
    found = re.findall(r"(?m)^##+ (.+)$", before)
    return found[-1] if found else ""


def _plain(neuron: str) -> str:
    """A contender without the granularity that some recipes set for all."""
    return neuron.removesuffix(":per=neuron")


def _spreads(runs: list[dict[str, Any]]) -> dict[str, Spread]:
    scores = by_neuron(runs, lambda run: run["score"])
    return {neuron: mean_and_spread(found) for neuron, found in scores.items()}


def _cell(spread: Spread, best: bool) -> str:
    text = number(*spread, 1)
    return f"**{text}**" if best else text
