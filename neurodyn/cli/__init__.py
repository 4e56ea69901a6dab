"""The command `neurodyn`."""

from __future__ import annotations

import argparse
import pickle
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodyn.cli.brief import brief_help
from neurodyn.cli.checkout import bench, studies
from neurodyn.cli.listing import show
from neurodyn.cli.options import import_option
from neurodyn.cli.parser import LIGHTNING, make_parser
from neurodyn.cli.trained import COMMANDS, run_command
from neurodyn.cli.words import spelled_out
from neurodyn.errors import require


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given, args = import_option().parse_known_args(arguments)
    if args[:1] and args[0] in LIGHTNING and {"-h", "--help"} & {*args[1:]}:
        print(brief_help(args[0]))
        sys.exit(0)
    known, rest = make_parser(*args[:1]).parse_known_args(args)
    try:
        return _run(known, rest, args, vars(given)["import"])
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        print(f"neurodyn: ckpt_path: refused a file that could run code. {reason}", file=sys.stderr)
    except _mistakes() as error:
        print(f"neurodyn: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return _stopped("interrupted", signal.SIGINT, known.command)
    except SystemExit as stop:
        # Lightning ends a run so after SIGTERM, as a success. A scheduler has to see the truth.
        if type(stop).__name__ != "SIGTERMException":
            raise
        return _stopped("terminated", signal.SIGTERM, known.command)
    return 2


def _stopped(how: str, number: signal.Signals, command: str) -> int:
    """Say that a signal ended the command; returns the exit status."""
    resumes = "; the same command goes on from here" * (command in ("compare", "study"))
    print(f"neurodyn: {how}{resumes}", file=sys.stderr)
    return 128 + number


def _mistakes() -> tuple[type[Exception], ...]:
    """The errors that say what is wrong with what the user gave. All others are faults of ours."""
    ours = (ValueError, TypeError, OSError, ImportError, ArithmeticError)
    if "lightning" not in sys.modules:
        return ours
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    return (*ours, MisconfigurationException)


def _run(known: argparse.Namespace, rest: list[str], args: list[str], modules: list[str]) -> int:
    if known.command == "bench":
        return bench(known.name, rest)
    if known.command in ("results", "list", "fit-cell") and rest:
        takes = {
            "results": "folders, --notes and --out",
            "list": "one group",
            "fit-cell": "one file; --help shows the options",
        }[known.command]
        raise ValueError(f"{known.command}: expected {takes}, got {' '.join(rest)}")
    study = studies().find(known.name) if known.command == "study" else None
    if (getattr(known, "jobs", None) or 1) > 1:
        from neurodyn.comparison.jobs.local import warm_up

        warm_up(known.threads or 1)
    if known.command not in ("list", "fit-cell"):
        require("lightning", "train")
        from neurodyn.training.memory import keep_freed_memory

        keep_freed_memory()
    if modules:
        from neurodyn.training.allowed import allow

        for module in modules:
            allow(module)
    if known.command == "list":
        show(known.group)
    elif known.command == "fit-cell":
        from neurodyn.cli.cell import fit_cell

        print(fit_cell(known))
    elif known.command in COMMANDS:
        run_command(known, rest)
    elif known.command == "results":
        _results(known)
    elif known.command in ("compare", "study"):
        _compare(known, rest, study)
    else:
        from neurodyn.training.recipe import Recipe

        whole = ["--help" if argument == "--help-all" else argument for argument in args]
        Recipe(spelled_out(whole), run=True)
    return 0


def _compare(known: argparse.Namespace, rest: list[str], study: Any) -> None:
    """Compare the neurons that were given, or those of a study."""
    from neurodyn.comparison.arguments import cluster_options, refuse_own, seed_numbers

    seeds = seed_numbers(known.seeds)
    from neurodyn.comparison.compare import run_comparison
    from neurodyn.comparison.folder import finished_runs
    from neurodyn.comparison.jobs.cluster import Cluster
    from neurodyn.training.find import find_recipe, names_module
    from neurodyn.training.paths import data_path, recipe_for

    if rest and not rest[0].startswith("-"):
        option = f"--data {rest[0]}" if Path(rest[0]).exists() else "--neurons"
        raise ValueError(f"{known.command}: {rest[0]!r} follows no option; did you mean {option}?")
    sent, rest = cluster_options(rest)
    if sent and not known.cluster:
        raise ValueError(f"cluster: expected its name for --cluster.{next(iter(sent))}, got none")
    refuse_own(rest)
    for option in (argument.partition("=")[0] for argument in rest):
        if study and option == "--neurons":
            raise ValueError(f"--neurons: the study {study.name!r} has its own contenders")
        for whole in (f"--{name}" for name in vars(known)):
            if len(option) > 2 and whole.startswith(option):
                raise ValueError(f"{option}: options are written out. Did you mean {whole!r}?")
    recipe = find_recipe(known.config or recipe_for(rest) or "sequential-digits")
    if names_module([f"--config={recipe}"]):
        raise ValueError(
            f"{known.command}: expected a recipe with neurons to compare, and {recipe.name} trains "
            "a module of its own: use neurodyn fit"
        )
    own = data_path(rest)
    name = own.stem if own else recipe.stem
    if study:
        names = study.contenders_from(known.source)
        folder = known.out or Path("runs") / f"{name}-{known.name}"
    else:
        # Commas inside brackets belong to an option: lnm:start=[0,-1,0,0].
        given = known.neurons if isinstance(known.neurons, str) else ",".join(known.neurons)
        parts = re.split(r",(?![^\[]*\])", given)
        names = [name.strip() for name in parts if name.strip()]
        folder = known.out or Path("runs") / name
    arguments = ["--config", str(recipe), *spelled_out(rest)]
    options = {name: getattr(known, name) for name in ("only", "jobs", "threads")}
    options["cluster"] = Cluster(known.cluster, sent) if known.cluster else None
    tables = [run_comparison(arguments, names, seeds, folder, **options)]
    ended = study and not known.only and any(finished_runs(folder))
    if ended and (conclusion := study.conclude(folder)):
        tables.append(conclusion)
    table = "\n\n".join(tables)
    print(f"\n{table}\n")
    if "±" in table:
        print("mean ± std over seeds; ahead: by more than both standard deviations")
    print(f"runs and pictures: {folder}")
    _write_page(folder)


def _write_page(folder: Path) -> None:
    """Write the page of a comparison. If that fails, the comparison is there all the same."""
    from lightning.pytorch.utilities import rank_zero_only

    from neurodyn.report import write_page

    if getattr(rank_zero_only, "rank", 0):
        return
    try:
        print(f"all on one page: {write_page(folder)}")
    except Exception as error:
        print(f"neurodyn: no page was written: {type(error).__name__}: {error}", file=sys.stderr)


def _results(known: argparse.Namespace) -> None:
    from neurodyn.comparison.results import check_listed, collect, write_page

    check_listed(
        known.notes, [folder.resolve().name for folder in known.folders if folder.exists()]
    )
    for folder in known.folders:
        print(collect(folder, known.notes))
    write_page(known.notes, known.out)
    print(known.out)
