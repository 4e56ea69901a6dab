"""The command `report`: the page of a run folder, in one file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "run",
        type=Path,
        help="the folder of a comparison (runs/digits), of one of its runs, of a fit",
    )
    parser.add_argument("--out", type=Path, help="the file (default: report.html in the folder)")
    parser.add_argument(
        "--without-data",
        action="store_true",
        help="do not read the data, nor run the networks on samples",
    )
    parser.epilog = "Options of the data set pass through, such as --data.root ~/data."


def written(known: argparse.Namespace, data: Mapping[str, Any]) -> str:
    """Write the page; return its path.

    Args:
        known: the parsed arguments of the command.
        data: options of the data set.
    """
    from neurodyn.report import write_page

    read_data = not known.without_data
    return str(write_page(known.run, out=known.out, data=data, read_data=read_data))
