"""The command `neurodyn`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodyn import __version__
from neurodyn.errors import require, unknown
from neurodyn.trained_commands import COMMANDS, add_parsers, run_command

EXAMPLES = """\
examples:
  neurodyn compare                                   LIF, PLIF, QIF and LNM on real digits, 3 seeds
  neurodyn compare --config fashion-mnist --neurons lif,lnm:degree=5 --seeds 5
  neurodyn study clip --config fashion-mnist         a question, answered by a comparison
  neurodyn study --help                              the questions
  neurodyn results runs/digits                       the page of results, from run folders
  neurodyn fit --config cifar10-resnet19 --data.root ~/data --data.download true
  neurodyn fit --config digits --model.network.neuron QIF --trainer.max_epochs 5
  neurodyn fit --config digits --print_config        every setting, as YAML
  neurodyn bench neurons                             speed, next to other libraries
  neurodyn test --config digits --ckpt_path runs/fit/version_0/checkpoints/best.ckpt
  neurodyn predict runs/digits/lnm/seed-0 new/*.png --out predictions.csv
  neurodyn energy runs/digits/lnm/seed-0             spikes and energy by layer
  neurodyn card runs/digits/lnm/seed-0               weights as safetensors, with a model card
  neurodyn fit --import mine --config digits --model.network mine.Net
"""

LIGHTNING = {
    "fit": "train a recipe",
    "validate": "accuracy on the validation split",
    "test": "accuracy, firing rate and energy on the test set",
}

PASSED_ON = """\
Finished runs are kept: start the command again to continue.
Options of the recipe pass through, such as --trainer.max_epochs 5."""

CHECKOUT = Path(__file__).parent.parent
"""The source checkout, if neurodyn runs from one."""


class _Defaults(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows a default unless it is None, and keeps the lines of the text below the options."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def import_option() -> argparse.ArgumentParser:
    """The parser of `--import`, which no recipe can set."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of yours whose classes the recipe may name; can be repeated",
    )
    return parser


def make_parser(command: str = "") -> argparse.ArgumentParser:
    """The parser of the top level and of the commands that are not Lightning's.

    Args:
        command: the one that will be run; the help of "study" lists the studies of the checkout.
    """
    parser = argparse.ArgumentParser(
        prog="neurodyn",
        allow_abbrev=False,
        description="Deep spiking neural networks whose neuron dynamics are learned.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"neurodyn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, purpose in LIGHTNING.items():
        commands.add_parser(name, help=purpose, add_help=False)
    _add_compare(commands)
    _add_study(commands, _questions() if command == "study" else "")
    _add_results(commands)
    _add_bench(commands)
    add_parsers(commands, import_option())
    return parser


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        parents=[import_option()],
        allow_abbrev=False,
        help="train several neurons on the same network with the same recipe",
        description=f"Train several neurons on the same network with the same recipe.\n{PASSED_ON}",
        epilog="Options of a neuron follow it after colons: lnm:degree=5:per=channel.\n"
        "So do options of the recipe that apply to it alone: lif:model.timesteps=1.\n"
        "A label in front names it in tables and pictures: short@lif:model.timesteps=1.",
        formatter_class=_Defaults,
    )
    compare.add_argument("--neurons", default="lif,plif,qif,lnm", help="separated by commas")
    _add_comparison_options(compare)


def _add_study(commands: Any, questions: str) -> None:
    study = commands.add_parser(
        "study",
        parents=[import_option()],
        allow_abbrev=False,
        help="answer a question by a comparison (from a source checkout)",
        description=f"Answer a question by a comparison of neurons.\n{PASSED_ON}",
        epilog=questions,
        formatter_class=_Defaults,
    )
    study.add_argument("name", help="the study, such as degree")
    study.add_argument(
        "--source", type=Path, help="for transplant: the folder of the run to learn from"
    )
    _add_comparison_options(study)


def _add_comparison_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="digits", help="recipe, by name or path")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--out", type=Path, help="run folder (default: in runs/)")


def _add_results(commands: Any) -> None:
    results = commands.add_parser(
        "results",
        allow_abbrev=False,
        help="write the page of results from run folders",
        description="Copy the finished runs of run folders into the notes of the page of results, "
        "and write the page.",
        formatter_class=_Defaults,
    )
    results.add_argument("folders", nargs="*", type=Path, help="run folders to add")
    results.add_argument(
        "--notes", type=Path, default=Path("docs/results"), help="folder of the notes"
    )
    results.add_argument("--out", type=Path, default=Path("docs/results.md"), help="the page")


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser(
        "bench",
        allow_abbrev=False,
        help="measure speed, next to other libraries (from a source checkout)",
        description="Run a benchmark of the source checkout. Options pass through to it.",
    )
    bench.add_argument("name", help="a file in benchmarks/, such as neurons")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given, args = import_option().parse_known_args(arguments)
    known, rest = make_parser(*args[:1]).parse_known_args(args)
    try:
        if known.command == "bench":
            return _bench(known.name, rest)
        study = _studies().find(known.name) if known.command == "study" else None
        require("lightning", "train")
        from neurodyn.training.memory import keep_freed_memory

        keep_freed_memory()
        from neurodyn.training.allowed import allow

        for module in vars(given)["import"]:
            allow(module)
        if known.command in ("compare", "study"):
            return _compare(known, rest, study)
        if known.command == "results":
            return _results(known, rest)
        if known.command in COMMANDS:
            run_command(known, rest)
            return 0
        from neurodyn.training.recipe import Recipe

        Recipe(args, run=True)
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        print(f"neurodyn: {error}", file=sys.stderr)
        return 2
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        print(f"neurodyn: ckpt_path: refused a file that could run code. {reason}", file=sys.stderr)
        return 2
    return 0


def _compare(known: argparse.Namespace, rest: list[str], study: Any) -> int:
    """Compare the neurons that were given, or those of a study."""
    from neurodyn.comparison.compare import run_comparison
    from neurodyn.training.recipe import find_recipe

    for given in (argument.partition("=")[0] for argument in rest):
        for whole in (f"--{name}" for name in vars(known)):
            if len(given) > 2 and whole.startswith(given):
                raise ValueError(f"{given}: options are written out. Did you mean {whole!r}?")
    recipe = find_recipe(known.config)
    if study:
        names = study.contenders_from(known.source)
        folder = known.out or Path("runs") / f"{recipe.stem}-{known.name}"
    else:
        # Commas inside brackets belong to an option: lnm:start=[0,-1,0,0].
        parts = re.split(r",(?![^\[]*\])", known.neurons)
        names = [name.strip() for name in parts if name.strip()]
        folder = known.out or Path("runs") / recipe.stem
    tables = [run_comparison(["--config", str(recipe), *rest], names, known.seeds, folder)]
    if study and (conclusion := study.conclude(folder)):
        tables.append(conclusion)
    table = "\n\n".join(tables)
    print(f"\n{table}\n\nmean ± std over seeds; ahead: by more than both standard deviations")
    print(f"runs and pictures: {folder}")
    return 0


def _results(known: argparse.Namespace, rest: list[str]) -> int:
    from neurodyn.comparison.results import collect, write_page

    if rest:
        raise ValueError(f"results: expected folders, --notes and --out, got {' '.join(rest)}")
    for folder in known.folders:
        print(collect(folder, known.notes))
    write_page(known.notes, known.out)
    print(known.out)
    return 0


def _bench(name: str, options: list[str]) -> int:
    names = sorted(path.stem for path in _room("benchmarks").glob("[!_]*.py"))
    if name not in names:
        raise unknown("bench", name, names)
    # From the user's working directory, whose files must not hide the modules of the checkout.
    path = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, env=environment, check=False).returncode


def _studies() -> Any:
    """The package `studies` of the checkout, found by its place and not by the import path."""
    folder = _room("studies")
    loaded = sys.modules.get("studies")
    if loaded is None or Path(str(loaded.__file__)).parent != folder:
        spec = importlib.util.spec_from_file_location("studies", folder / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = sys.modules["studies"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    return loaded


def _questions() -> str:
    """The studies of the checkout, or how to come by them."""
    try:
        studies = _studies().STUDIES.values()
    except FileNotFoundError as error:
        return str(error)
    return "\n".join(["studies:", *(f"  {study.name:<13} {study.question}" for study in studies)])


def _room(name: str) -> Path:
    """The folder of a package that lies beside neurodyn in a checkout and is not installed."""
    if not (CHECKOUT / "pyproject.toml").is_file() or not (CHECKOUT / name).is_dir():
        raise FileNotFoundError(
            f"{name}: this folder comes with the source checkout of neurodyn and not with the "
            "installed package; clone the repository and run `pip install -e .` in it"
        )
    return CHECKOUT / name
