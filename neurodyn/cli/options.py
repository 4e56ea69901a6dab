"""What the parsers of the commands share."""

from __future__ import annotations

import argparse
from typing import Any


class Defaults(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows a default if there is one, and keeps the lines of the text below the options."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        nothing = action.default is None or action.default == []
        return action.help if nothing else super()._get_help_string(action)


class Once(argparse.Action):
    """Stores a value. A second one would replace the first unseen, so it is an error."""

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not self.default:
            parser.error(f"{option_string}: given twice")
        setattr(namespace, self.dest, values)


def import_option() -> argparse.ArgumentParser:
    """The parser of `--import`, which no recipe can set."""
    parser = argparse.ArgumentParser(prog="neurodyn", add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of yours, whose classes can then be named; the current folder is searched "
        "too. Can be repeated",
    )
    return parser


def add_command(
    commands: Any, name: str, purpose: str, *, imports: bool = True, **texts: Any
) -> argparse.ArgumentParser:
    """Add the parser of a command.

    Args:
        commands: the parsers of all commands.
        name: of the command.
        purpose: a line for the list of commands; as a sentence, the description unless given.
        imports: whether it takes `--import`.
        texts: further arguments of argparse, such as `epilog`.
    """
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        parents=[import_option()] if imports else [],
        allow_abbrev=False,
        help=purpose,
        formatter_class=Defaults,
        **{"description": f"{purpose[0].upper()}{purpose[1:]}.", **texts},
    )
    return made
