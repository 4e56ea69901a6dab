"""The parser of recipes: that of jsonargparse, with errors that suggest the right name."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from neurodyn import data, models, surrogate
from neurodyn.training import allowed, carry
from neurodyn.training.names import neuron_names, own_classes

carry.install()
allowed.install()

HINT = "Did you mean"
WRONG_NAME = re.compile(
    r"option '([\w.]+)'|has no attribute '(\w+)'|import path string: (\w+)"
    r"|key '([\w.]+)'|arguments: --([\w.]+)",
    re.IGNORECASE,
)
SHORT = {
    "epochs": "trainer.max_epochs",
    "max_epochs": "trainer.max_epochs",
    "batch_size": "data.batch_size",
    "lr": "model.optim.lr",
    "learning_rate": "model.optim.lr",
    "timesteps": "model.timesteps",
    "device": "trainer.accelerator",
}
"""Options as other programs call them, and their names here."""

NOISE = re.compile(
    r"Does not validate against any of the Union|(Subtypes|Errors|Given value( type)?):"
    r"|Expected a <class 'NoneType'>|Problem with given class_path"
    r"|([\w.]+: )?Expected a path but \S+ either not accessible or invalid$"
)
"""Lines that jsonargparse adds around the one that matters, if several types were possible."""

AROUND = re.compile(
    r"Type collections\.abc\.Callable\S*(, \S+)* expects a function or a callable class: "
    r"|\.*\s*Got value: Namespace\(.*\)$"
)
"""The same within a line."""

NO_NETWORK = re.compile(r"the following arguments are required: \w+\.model\.network\b.*")
FIRST = "expected a recipe, such as --config images or --config sequences, or a --network"

TAKES = {
    "cell": "the network does not take it; a network of neurons takes those, such as lif",
    "neuron": "the network does not take it; a GatedNet takes gated cells, such as spikgru",
}
"""Why a network does not accept an option that others have."""


class RecipeError(ValueError):
    """A recipe or command line that does not fit what it configures."""


class RecipeParser(LightningArgumentParser):
    """Raises `RecipeError` instead of printing pages of usage and exiting.

    jsonargparse makes a parser for every class in a recipe and nests their messages. The innermost
    parser knows which names would have been right. Options cannot be abbreviated.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "allow_abbrev": False})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        message = allowed.explained(message.strip())
        if HINT not in message:
            names = list(dict.fromkeys(self._suggestions(message)))
            message += f"\n{HINT} {' or '.join(map(repr, names))}?" if names else ""
        raise RecipeError(message) from ex

    def _suggestions(self, message: str) -> Iterator[str]:
        known = [*_destinations(self), *data.__all__, *models.__all__, "neuron", "network"]
        known += [cls.__name__ for cls in neuron_names().values()]
        known += [path.rpartition(".")[2] for path in own_classes(object)]
        known += [cls.__name__ for cls in surrogate.Surrogate.__subclasses__()]
        by_lower = {name.lower(): name for name in known}
        for groups in WRONG_NAME.findall(message):
            name = next(filter(None, groups))
            if groups[-1] in SHORT:
                yield SHORT[groups[-1]]
                continue
            for near in difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.65):
                if by_lower[near] != name:
                    yield by_lower[near]


def plain(message: str) -> str:
    """The lines of a message of jsonargparse that say what is wrong, and with which key."""
    # For a union of types, jsonargparse repeats what it says for each of them.
    stripped = (line.strip().removeprefix("- ") for line in message.splitlines())
    lines = dict.fromkeys(AROUND.sub("", line) for line in stripped)
    text = "\n".join(line for line in lines if line and not NOISE.match(line))
    given = re.search(r"^\s*Given value: (\S+)$", message, re.MULTILINE)
    text = text.replace("Import path does", f"Import path {given[1] if given else ''} does")
    text = NO_NETWORK.sub(FIRST, text)
    for option, why in TAKES.items():
        text = text.replace(f"Option '{option}' is not accepted", f"Option {option!r}: {why}")
    text = re.sub(r'(?:Parser )?key "([\w.]+)":\n(?:Parser )?key "', r'key "\1.', text)
    return re.sub(r'(?:Parser )?key "([\w.]+)":\n', r"\1: ", text)


def _destinations(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The names of all settings of a parser and of its subcommands."""
    for action in parser._actions:
        yield action.dest
        if isinstance(action.choices, dict):
            for child in action.choices.values():
                if isinstance(child, argparse.ArgumentParser):
                    yield from _destinations(child)
