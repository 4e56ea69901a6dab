"""The command `neurodyn`."""

from __future__ import annotations

import argparse
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from neurodyn import __version__
from neurodyn.errors import require, unknown

EXAMPLES = """\
examples:
  neurodyn compare                                   LIF, PLIF, QIF and LNM on real digits, 3 seeds
  neurodyn compare --config fashion-mnist --neurons lif,lnm:degree=5 --seeds 5
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


def make_parser() -> argparse.ArgumentParser:
    """The parser of the top level and of `compare`."""
    parser = argparse.ArgumentParser(
        prog="neurodyn",
        description="Deep spiking neural networks whose neuron dynamics are learned.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"neurodyn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, purpose in LIGHTNING.items():
        commands.add_parser(name, help=purpose, add_help=False)
    compare = commands.add_parser(
        "compare",
        help="train several neurons on the same network with the same recipe",
        description="Train several neurons on the same network with the same recipe, over seeds. "
        "Finished runs are kept: start it again to go on. Options of the recipe pass through, such "
        "as --trainer.max_epochs 5 or --data.root ~/data.",
        epilog="A neuron takes options behind colons, lnm:degree=5:per=channel.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    bench = commands.add_parser(
        "bench",
        help="speed against peers and the memory floor (from a source checkout)",
        description="Run a benchmark of the source checkout; options pass through to it.",
    )
    bench.add_argument("name", help="which: a file in benchmarks/, such as neurons")
    compare.add_argument("--config", default="digits", help="recipe, by name or path")
    compare.add_argument("--neurons", default="lif,plif,qif,lnm", help="separated by commas")
    compare.add_argument("--seeds", type=int, default=3, help="how many")
    compare.add_argument("--out", type=Path, help="run folder (default: runs/compare-<recipe>)")
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
        if known.command == "compare":
            return _compare(known, rest)
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
    from neurodyn.training.compare import compare
    from neurodyn.training.recipe import find_recipe

    recipe = find_recipe(known.config)
    folder = known.out or Path("runs") / f"compare-{recipe.stem}"
    # Commas inside brackets belong to an option: lnm:start=[0,-1,0,0].
    names = [name.strip() for name in re.split(r",(?![^\[]*\])", known.neurons) if name.strip()]
    table = compare(["--config", str(recipe), *rest], names, known.seeds, folder)
    print(f"\n{table}\n\nmean ± std over {known.seeds} seeds; runs, pictures: {folder}")
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
