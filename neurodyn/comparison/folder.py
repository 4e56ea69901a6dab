"""A run folder on disk: results are written and read here.

<contender>/seed-<n>/result.json    a finished run; diverged.json, if its numbers blew up
<contender>/seed-<n>/output.txt     what a run said that was trained by a process of its own
table.md  table.json                all finished runs of the folder
scores.png  curves.png              their results by seed, their learning curves
study.md  study.png                 the conclusion of a study
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from neurodyn.files import read_json, write

Runs = Sequence[dict[str, Any]]


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write(path, json.dumps(content, indent=2) + "\n")


def is_finished(home: Path) -> bool:
    """Whether the run in a folder has ended: with a result, or with numbers that diverged."""
    return any((home / name).is_file() for name in ("result.json", "diverged.json"))


def finished_runs(folder: Path) -> list[dict[str, Any]]:
    """The results in a run folder, each with its place there (`folder`).

    Contenders come in the order of their first start, and their runs in the order of seeds.
    """
    runs = []
    for path in folder.glob("*/seed-*/result.json"):
        result = read_json(path)
        if "score" not in result:
            raise ValueError(
                f"{path}: found a result without a score, which older versions wrote; move the "
                "folder away and run the comparison again"
            )
        runs.append({**result, "folder": path.parent.relative_to(folder).as_posix()})
    first = {name: min(dates) for name, dates in by_neuron(runs, _begun).items()}
    return sorted(runs, key=lambda run: (first[run["neuron"]], run["neuron"], run["seed"]))


def diverged_runs(folder: Path) -> Runs:
    """The runs in a run folder whose numbers stopped being finite."""
    return [read_json(path) for path in sorted(folder.glob("*/seed-*/diverged.json"))]


def by_neuron(
    runs: Runs, value: Callable[[dict[str, Any]], Any] = lambda run: run
) -> dict[str, list[Any]]:
    """The runs of each neuron, or a value of each of them."""
    groups: dict[str, list[Any]] = {}
    for run in runs:
        groups.setdefault(run["neuron"], []).append(value(run))
    return groups


def curves(runs: Runs) -> dict[str, list[list[float]]]:
    """For each neuron the validation curves of its runs."""
    for run in runs:
        if "curve" not in run:
            raise ValueError(
                f"folder: expected a curve in each result; {run['neuron']}, seed {run['seed']} is "
                "of an older version and has none"
            )
    return by_neuron(runs, lambda run: run["curve"])


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values without repetitions, in their order."""
    return list(dict.fromkeys(values))


def _begun(run: dict[str, Any]) -> str:
    date: str = run["starts"][0]["date"]
    return date
