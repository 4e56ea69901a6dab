"""Options of a recipe that a comparison sets itself, and refuses from others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

OURS = ("--seed_everything", "--checkpoint", "--last_checkpoint.folder", "--trainer.logger")

QUIET = {
    "--trainer.num_sanity_val_steps": "0",  # It would compile kernels before the clock starts.
    "--trainer.enable_progress_bar": "false",
    "--trainer.enable_model_summary": "false",
}
"""What every run of a comparison is given."""

NEURON = "--model.network.init_args.neuron"
CELL = "--model.network.init_args.cell"
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
