"""The parser of recipes: jsonargparse's, with errors that suggest the right name."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from jsonargparse import Namespace, _typehints
from lightning.pytorch.cli import LightningArgumentParser

from neurodyn import data, models, surrogate
from neurodyn.training.entrant import neuron_names

HINT = "Did you mean"
WRONG_NAME = re.compile(
    r"option '([\w.]+)'|has no attribute '(\w+)'|import path string: (\w+)"
    r"|key '([\w.]+)'|arguments: --([\w.]+)",
    re.IGNORECASE,
)


class RecipeError(ValueError):
    """A recipe or command line that does not fit what it configures."""


class RecipeParser(LightningArgumentParser):
    """Raises `RecipeError` in place of printing pages of usage and exiting.

    jsonargparse makes one parser for every class in a recipe, and nests their messages; the
    innermost knows the names that would have been right.
    """

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        message = message.strip()
        if HINT not in message:
            names = list(dict.fromkeys(self._suggestions(message)))
            message += f"\n{HINT} {' or '.join(map(repr, names))}?" if names else ""
        raise RecipeError(message) from ex

    def _suggestions(self, message: str) -> Iterator[str]:
        known = [*_destinations(self), *data.__all__, *models.__all__]
        known += [cls.__name__ for cls in neuron_names().values()]
        known += [cls.__name__ for cls in surrogate.Surrogate.__subclasses__()]
        by_lower = {name.lower(): name for name in known}
        for groups in WRONG_NAME.findall(message):
            name = next(filter(None, groups)).lower()
            for near in difflib.get_close_matches(name, by_lower, n=1, cutoff=0.65):
                yield by_lower[near]


_keep_common = _typehints.discard_init_args_on_class_path_change


def _keep_nothing_of_a_neuron(parser: Any, before: Any, after: Any) -> None:
    """Forget a neuron's options where another neuron takes its place.

    jsonargparse keeps those that both classes have, defaults included: `reset="hard"` of LIF would
    stand in for the reset that MultiTimescale learns. There is no setting for it.
    """
    if before and before["class_path"] != after["class_path"]:
        name = after["class_path"].rpartition(".")[2].lower()
        if name in neuron_names() and "init_args" in before:
            before["init_args"] = Namespace()
    _keep_common(parser, before, after)


_typehints.discard_init_args_on_class_path_change = _keep_nothing_of_a_neuron


def _destinations(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The names of all settings of a parser and of its subcommands."""
    for action in parser._actions:
        yield action.dest
        if isinstance(action.choices, dict):
            for child in action.choices.values():
                if isinstance(child, argparse.ArgumentParser):
                    yield from _destinations(child)
