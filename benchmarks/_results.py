"""The files that a benchmark writes: numbers as JSON, tables as Markdown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks._machine import machine
from neurodyn.files import write

FOLDER = Path(__file__).parent / "results"


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add the options for the folder of results and for continuing with those in it."""
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue with the results of the same machine and settings: cases that they have are "
        "not measured again",
    )


def write_page(out: Path, name: str, heading: Sequence[str], found: Any, table: Any) -> None:
    """Print and write the results of a benchmark that is measured in one go.

    Args:
        out: folder of results.
        name: name of the files, without suffix.
        heading: a title, and what was measured by which command.
        found: the results.
        table: makes Markdown lines of them.
    """
    facts = {**machine(), "threads": str(torch.get_num_threads())}
    listed = [f"- {key}: {value}" for key, value in facts.items()]
    title, what = heading
    page = "\n".join([f"# {title}", "", what, "", *listed, "", *table(found)]) + "\n"
    print(page)
    write(out / f"{name}.md", page)
    write(out / f"{name}.json", json.dumps({"machine": facts, **found}, indent=1) + "\n")


class Results:
    """Results by case. The files are written after every case.

    Args:
        name: name of the files, without suffix.
        lines: Markdown in front of the tables.
        facts: machine, versions and settings. Results with other facts cannot be continued.
        absent: libraries that could not be measured.
        table: makes the Markdown of a case from its title and its content.
        options: options of the command.
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
        """Add a case, print its table and write the files."""
        self.data["cases"][title] = case
        print(self.table(title, case), flush=True)
        parts = [*self.lines, ""]
        parts += [f"- {name}: {value}" for name, value in self.data["facts"].items()]
        parts += [f"- absent: {name}" for name in self.data["absent"]]
        for heading, held in self.data["cases"].items():
            parts += ["", self.table(heading, held)]
        write(self.path.with_suffix(".md"), "\n".join(parts) + "\n")
        write(self.path.with_suffix(".json"), json.dumps(self.data, indent=1) + "\n")
