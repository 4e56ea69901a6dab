"""The command `neurodyn`."""

from __future__ import annotations

import argparse
import importlib
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodyn import __version__
from neurodyn.errors import require, unknown

EXAMPLES = """\
examples:
  neurodyn compare                                   LIF, PLIF, QIF and LNM on real digits, 3 seeds
  neurodyn compare --config fashion-mnist --neurons lif,lnm:degree=5 --seeds 5
  neurodyn study clip --config fashion-mnist         a question about LNM, as a comparison
  neurodyn study delays --config lag-task            how long, and how many neurons
  neurodyn results runs/digits                       the page of results, from run folders
  neurodyn fit --config cifar10-resnet19 --data.root ~/data --data.download true
  neurodyn fit --config digits --model.network.neuron QIF --trainer.max_epochs 5
  neurodyn fit --config digits --print_config        every setting, as YAML
  neurodyn bench neurons
  neurodyn test --config digits --ckpt_path runs/best.ckpt
"""

LIGHTNING = {
    "fit": "train a recipe",
    "validate": "accuracy on the validation split",
    "test": "accuracy, firing rate and energy on the test set",
}

COMPARISONS = {
    "compare": "train several neurons on the same network with the same recipe",
    "study": "answer a question about LNM, or about delays, by a comparison",
}


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that are something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the top level and of the commands that are not Lightning's."""
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
    for name, purpose in COMPARISONS.items():
        comparison = commands.add_parser(
            name,
            allow_abbrev=False,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}, over seeds. Finished runs are kept: "
            "start it again to go on. Options of the recipe pass through, such as "
            "--trainer.max_epochs 5 or --data.root ~/data.",
            epilog="A neuron takes options behind colons, lnm:degree=5:per=channel; those of the "
            "recipe too, lif:model.timesteps=1. A name in front stands for all of it in tables and "
            "pictures, short@lif:model.timesteps=1.",
            formatter_class=_Defaults,
        )
        comparison.add_argument("--config", default="digits", help="recipe, by name or path")
        comparison.add_argument("--seeds", type=int, default=3, help="how many")
        comparison.add_argument("--out", type=Path, help="run folder (default: in runs/)")
        if name == "compare":
            comparison.add_argument(
                "--neurons", default="lif,plif,qif,lnm", help="separated by commas"
            )
        else:
            comparison.add_argument("name", help="which: a study of studies/, such as degree")
            comparison.add_argument(
                "--source", type=Path, help="transplant: the folder of the run to learn from"
            )
    results = commands.add_parser(
        "results",
        allow_abbrev=False,
        help="write the page of results from run folders",
        description="Put the finished runs of run folders among the notes that the page of results "
        "is made of, and write the page.",
        formatter_class=_Defaults,
    )
    results.add_argument("folders", nargs="*", type=Path, help="run folders to add")
    results.add_argument("--notes", type=Path, default=Path("docs/results"), help="their folder")
    results.add_argument("--out", type=Path, default=Path("docs/results.md"), help="the page")
    bench = commands.add_parser(
        "bench",
        allow_abbrev=False,
        help="speed against peers and the memory floor (from a source checkout)",
        description="Run a benchmark of the source checkout; options pass through to it.",
    )
    bench.add_argument("name", help="which: a file in benchmarks/, such as neurons")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    known, rest = make_parser().parse_known_args(args)
    try:
        if known.command == "bench":
            return _bench(known.name, rest)
        require("lightning", "train")
        from neurodyn.training.memory import keep_freed_memory

        keep_freed_memory()
        if known.command in COMPARISONS:
            return _compare(known, rest)
        if known.command == "results":
            return _results(known, rest)
        from neurodyn.training.recipe import Recipe

        Recipe(args, run=True)
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        print(f"neurodyn: {error}", file=sys.stderr)
        return 2
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        print(f"neurodyn: ckpt_path: refused to load what may run code. {reason}", file=sys.stderr)
        return 2
    return 0


def _compare(known: argparse.Namespace, rest: list[str]) -> int:
    from neurodyn.comparison.run import compare
    from neurodyn.training.recipe import find_recipe

    for given in (argument.partition("=")[0] for argument in rest):
        for whole in (f"--{name}" for name in vars(known)):
            if len(given) > 2 and whole.startswith(given):
                raise ValueError(f"{given}: options are written out. Did you mean {whole!r}?")
    recipe = find_recipe(known.config)
    if known.command == "study":
        studies = _from_checkout("studies")
        names = studies.contenders_of(known.name, known.source)
        folder = known.out or Path("runs") / f"{recipe.stem}-{known.name}"
    else:
        # Commas inside brackets belong to an option: lnm:start=[0,-1,0,0].
        parts = re.split(r",(?![^\[]*\])", known.neurons)
        names = [name.strip() for name in parts if name.strip()]
        folder = known.out or Path("runs") / recipe.stem
    table = compare(["--config", str(recipe), *rest], names, known.seeds, folder)
    if known.command == "study":
        table = "\n\n".join([table, *studies.conclude(known.name, folder)])
    print(f"\n{table}\n\nmean ± std over seeds; runs, pictures: {folder}")
    return 0


def _from_checkout(room: str) -> Any:
    """A package that lies beside neurodyn in a source checkout and is not installed with it."""
    root = Path(__file__).parent.parent
    if not (root / room / "__init__.py").is_file():
        raise FileNotFoundError(f"{room}: they come with the source checkout, not the package")
    if str(root) not in sys.path:
        sys.path.append(str(root))
    return importlib.import_module(room)


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
    folder = Path(__file__).parent.parent / "benchmarks"
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if not names:
        raise FileNotFoundError(
            "bench: the benchmarks come with the source checkout, not the package"
        )
    if name not in names:
        raise unknown("bench", name, names)
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, cwd=folder.parent, check=False).returncode
