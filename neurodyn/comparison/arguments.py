"""What a comparison is told: its seeds, and the options of a recipe that it sets itself."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

OURS = ("--seed_everything", "--checkpoint", "--last_checkpoint.folder", "--trainer.logger")

QUIET = {
    "--trainer.num_sanity_val_steps": "0",  # It would compile kernels before the clock starts.
    "--trainer.enable_progress_bar": "false",
    "--trainer.enable_model_summary": "false",
}
"""What every run of a comparison is given."""

NEURON = "--model.network.init_args.neuron"
CELL = "--model.network.init_args.cell"
SEEDS = re.compile(r"(\d+)(?:-(\d+))?")
CHOICE = re.compile(r"--(model\.network(\.init_args)?\.)?(neuron|cell)(\.class_path)?")
"""An option that chooses the neuron. One that sets an option of the neuron is longer."""


def refuse_own(arguments: Sequence[str]) -> None:
    """An error if an argument sets what a comparison sets itself."""
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, given, value = argument.partition("=")
        value = value if given else following
        if CHOICE.fullmatch(name):
            raise ValueError(
                f"{name}: a comparison chooses the neuron itself, and would ignore this one. Name "
                f"it as a contender: neurodyn compare --neurons {value or 'lnm'}"
            )
        if name.startswith(OURS):
            raise ValueError(f"{name}: a comparison sets this itself")
        if name.startswith("--trainer.callbacks") and value.endswith("Checkpoint"):
            raise ValueError(f"{name}: a comparison writes its own checkpoints, got {value}")
        if name in QUIET and value.lower() != QUIET[name]:
            raise ValueError(f"{name}: a comparison sets this itself, to {QUIET[name]}")


def seed_numbers(text: str) -> int | list[int]:
    """How many seeds, `3`, or which ones: `3-5`, `0,4,7-9`."""
    if text.isdecimal():
        return int(text)
    numbers: list[int] = []
    for part in text.split(","):
        found = SEEDS.fullmatch(part.strip())
        if not found:
            raise ValueError(f"seeds: expected a number, or seeds such as 3-5 or 0,4, got {text!r}")
        first = int(found[1])
        last = int(found[2] or first)
        if last < first:
            raise ValueError(f"seeds: expected {last}-{first}, got {part.strip()}")
        numbers += range(first, last + 1)
    if len({*numbers}) < len(numbers):
        raise ValueError(f"seeds: expected different ones, got {text}")
    return numbers


def cluster_options(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of `--cluster.NAME VALUE` by their names, and the other arguments."""
    found, others = {}, []
    rest = iter(arguments)
    for argument in rest:
        option, given, value = argument.partition("=")
        if not option.startswith("--cluster."):
            others.append(argument)
            continue
        text = value if given else next(rest, "")
        if not text or text.startswith("--"):
            raise ValueError(f"{option}: expected a value, got {text or 'none'}")
        try:
            found[option.removeprefix("--cluster.")] = json.loads(text)
        except json.JSONDecodeError:
            found[option.removeprefix("--cluster.")] = text
    return found, others
