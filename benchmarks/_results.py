"""The files that a benchmark leaves: numbers as JSON, tables as Markdown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def add_results(parser: argparse.ArgumentParser) -> None:
    """The options that say where results go, and what becomes of those that are there."""
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the results of the same machine and settings: what they have is kept and "
        "not measured again",
    )


class Results:
    """Results by case, written after each of them.

    Args:
        name: of the files, without suffix.
        lines: of Markdown that stand in front.
        facts: machine, versions and settings; results with others are not gone on with.
        absent: what could not be measured.
        table: Markdown of a case, from its title and what `add` was given, as JSON holds it.
        options: the command's.
    """

    def __init__(
        self,
        name: str,
        lines: Sequence[str],
        facts: dict[str, str],
        absent: Sequence[str],
        table: Callable[[str, Any], str],
        options: argparse.Namespace,
    ) -> None:
        self.path, self.table, self.lines = options.out / name, table, lines
        self.data: dict[str, Any] = {"facts": facts, "absent": list(absent), "cases": {}}
        earlier = self.path.with_suffix(".json")
        if options.resume and earlier.is_file():
            found = json.loads(earlier.read_text())
            if found["facts"] != facts:
                sys.exit(f"resume: {earlier} is of another machine or of other settings")
            self.data["cases"] = found["cases"]

    def __contains__(self, title: str) -> bool:
        return title in self.data["cases"]

    def add(self, title: str, case: Any) -> None:
        """Put a case in, print its table and write the files."""
        self.data["cases"][title] = case
        print(self.table(title, case), flush=True)
        parts = [*self.lines, ""]
        parts += [f"- {name}: {value}" for name, value in self.data["facts"].items()]
        parts += [f"- absent: {name}" for name in self.data["absent"]]
        for heading, held in self.data["cases"].items():
            parts += ["", self.table(heading, held)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.with_suffix(".md").write_text("\n".join(parts) + "\n")
        self.path.with_suffix(".json").write_text(json.dumps(self.data, indent=1) + "\n")
