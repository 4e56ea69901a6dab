"""What the command understands, and its help. Nothing here imports PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from neurodyn import __version__
from neurodyn.cli.cell import add_parser as add_fit_cell
from neurodyn.cli.checkout import studies
from neurodyn.cli.listing import GROUPS
from neurodyn.cli.options import Once, add_command
from neurodyn.cli.trained import add_parsers

EXAMPLES = """\
examples:
  neurodyn compare                                   LIF, PLIF, LNM, Planar on real digits, 3 seeds
  neurodyn compare --config fashion-mnist --neurons lif,lnm:degree=5 --seeds 5
  neurodyn compare --jobs 4 --seeds 5                four runs at a time
  neurodyn compare --cluster slurm --cluster.partition gpu --cluster.gpus_per_node 1
  neurodyn compare --data photographs/ --neurons lif,lnm            your data: a folder or a file
  neurodyn compare --import mine --neurons lif,mine.TwoState        yours, from mine.py here
  neurodyn list recipes                              what there is, one line each
  neurodyn study clip --config fashion-mnist         a question, answered by a comparison
  neurodyn fit --config cifar10-resnet19 --data.root ~/data --data.download true
  neurodyn fit --config digits --neuron qif --trainer.max_epochs 5
  neurodyn fit --config digits --print_config        every setting, as YAML
  neurodyn test --config digits --ckpt_path runs/fit/version_0/checkpoints/best.ckpt
  neurodyn predict runs/digits/lnm/seed-0 new/*.png --out predictions.csv
  neurodyn energy runs/digits/lnm/seed-0             spikes and energy by layer
  neurodyn convert runs/digits/lif/seed-0 --to single-spike          each neuron fires once
  neurodyn report runs/digits                        one page of it all, for any browser
  neurodyn card runs/digits/lnm/seed-0               weights as safetensors, with a model card
  neurodyn fit-cell recording.abf                    a neuron fitted to a recorded cell
  neurodyn bench neurons                             speed, next to other libraries
"""

LIGHTNING = {
    "fit": "train a recipe",
    "validate": "scores on the validation split",
    "test": "scores, firing rate and energy on the test set",
}

PASSED_ON = """\
Finished runs are kept: start the command again to continue.
Options of the recipe pass through, such as --trainer.max_epochs 5."""


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
    add_parsers(commands)
    add_fit_cell(commands)
    _add_list(commands)
    _add_results(commands)
    _add_bench(commands)
    return parser


def _add_compare(commands: Any) -> None:
    compare = add_command(
        commands,
        "compare",
        "train several neurons on the same network with the same recipe",
        description=f"Train several neurons on the same network with the same recipe.\n{PASSED_ON}",
        epilog="Options of a neuron follow it after colons: lnm:degree=5:per=channel.\n"
        "So do options of the recipe that apply to it alone: lif:model.timesteps=1.\n"
        "planar:frozen leaves the dynamics at their start and learns the weights alone.\n"
        "A label in front names it in tables and pictures: short@lif:model.timesteps=1.\n"
        "A neuron of yours goes by its import path: --import mine --neurons lif,mine.TwoState.\n"
        "Data of yours go by their path: --data arrays.npz, or --data photographs/ (<class>/*).\n"
        "`neurodyn list` shows the names of neurons and recipes.",
    )
    compare.add_argument(
        "--neurons",
        action=Once,
        nargs="+",
        default="lif,plif,lnm,planar",
        help="separated by commas or spaces",
    )
    _add_comparison_options(compare)


def _add_study(commands: Any, questions: str) -> None:
    study = add_command(
        commands,
        "study",
        "answer a question by a comparison (from a source checkout)",
        description=f"Answer a question by a comparison of neurons.\n{PASSED_ON}",
        epilog=questions,
    )
    study.add_argument("name", help="the study, such as degree")
    study.add_argument(
        "--source",
        action=Once,
        type=Path,
        help="for transplant: the folder of the run to learn from",
    )
    _add_comparison_options(study)


def _add_comparison_options(parser: argparse.ArgumentParser) -> None:
    recipe = "recipe, by name or path (default: sequential-digits, or one that fits --data PATH)"
    parser.add_argument("--config", "-c", action=Once, help=recipe)
    parser.add_argument(
        "--seeds", action=Once, default="3", help="number of seeds, or which: 3-5, or 0,4"
    )
    parser.add_argument("--out", action=Once, type=Path, help="run folder (default: in runs/)")
    parser.add_argument(
        "--jobs",
        action=Once,
        type=int,
        metavar="N",
        help="runs trained at a time, each with one thread",
    )
    parser.add_argument(
        "--threads",
        action=Once,
        type=int,
        metavar="N",
        help="PyTorch's threads of a run (default: all cores, 1 with --jobs)",
    )
    parser.add_argument(
        "--cluster",
        action=Once,
        metavar="NAME",
        help="send runs to slurm, with options such as --cluster.time 60",
    )
    parser.add_argument("--only", action=Once, metavar="NEURON/SEED", help="one run, such as lif/3")


def _add_list(commands: Any) -> None:
    listed = add_command(
        commands,
        "list",
        "the names of neurons, recipes, data sets and more",
        description="Show what there is by name, one line each.",
        epilog=f"groups: {', '.join(GROUPS)}",
    )
    listed.add_argument("group", nargs="?", default=None, help="one group only")


def _add_results(commands: Any) -> None:
    results = add_command(
        commands,
        "results",
        "write the page of results from run folders",
        imports=False,
        description="Copy the finished runs of run folders into the notes of the page of results, "
        "and write the page.",
    )
    results.add_argument("folders", nargs="*", type=Path, help="run folders to add")
    results.add_argument(
        "--notes", type=Path, default=Path("docs/results"), help="folder of the notes"
    )
    results.add_argument("--out", type=Path, default=Path("docs/results.md"), help="the page")


def _add_bench(commands: Any) -> None:
    bench = add_command(
        commands,
        "bench",
        "measure speed, next to other libraries (from a source checkout)",
        imports=False,
        description="Run a benchmark of the source checkout. Options pass through to it.",
    )
    bench.add_argument("name", help="a file in benchmarks/, such as neurons")


def _questions() -> str:
    """The studies of the checkout, or how to come by them."""
    try:
        found = studies().STUDIES.values()
    except FileNotFoundError as error:
        return str(error)
    return "\n".join(["studies:", *(f"  {study.name:<13} {study.question}" for study in found)])
