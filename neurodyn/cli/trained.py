"""The commands for trained models: `predict`, `energy`, `convert`, `card`, `report`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurodyn.cli import report
from neurodyn.cli.convert import add_options, single_spike
from neurodyn.cli.options import add_command

COMMANDS = ("predict", "energy", "convert", "card", "report")

RUN = "a run of a comparison (runs/digits/lnm/seed-0), of a fit (runs/fit/version_0), or a card"


def add_parsers(commands: Any) -> None:
    """Add the parsers of the commands."""
    predict = add_command(commands, "predict", "predict new files with a trained model")
    predict.add_argument("run", help=RUN)
    predict.add_argument("files", nargs="+", help="files of the kind that the data set reads")
    predict.add_argument("--out", type=Path, help="a CSV file; without it, a table is shown")
    _add_options(predict)
    energy = add_command(commands, "energy", "spikes, operations and energy of a trained model")
    energy.add_argument("run", help=RUN)
    energy.add_argument("files", nargs="*", help="files to measure on (default: the test set)")
    energy.epilog = "Options of the data set pass through, such as --data.root ~/data."
    _add_options(energy)
    convert = add_command(commands, "convert", "a trained network as one of single-spike neurons")
    convert.add_argument("run", help=RUN)
    add_options(convert)
    _add_options(convert)
    card = add_command(commands, "card", "weights as safetensors, with a model card")
    card.add_argument("run", nargs="+", help=f"{RUN}; of several, each gets a folder of its own")
    card.add_argument("--out", type=Path, help="where to (default: `card` in the run's folder)")
    card.add_argument("--checkpoint", default="best", help="which checkpoint")
    card.add_argument("--license", help="of the weights, as hubs spell it: apache-2.0, cc-by-4.0")

    report.add_options(
        add_command(commands, "report", "one page of a run folder, which opens in any browser")
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", default="best", help="which checkpoint")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch-size", type=int, help="samples at a time (default: as trained)")


def run_command(known: argparse.Namespace, rest: Sequence[str]) -> None:
    """Run one of the commands.

    Args:
        known: its parsed arguments.
        rest: what its parser does not know.
    """
    from neurodyn.errors import check

    if getattr(known, "batch_size", None) is not None:
        check("batch-size", known.batch_size, 1)
    with_data = {"energy": _energy, "convert": _convert, "report": report.written}
    if known.command in with_data:
        print(with_data[known.command](known, _data_options(known.command, rest)))
        return
    if rest:
        raise ValueError(f"{known.command}: unknown option {rest[0]!r}; --help shows them")
    print(_predict(known) if known.command == "predict" else _card(known))


def _predict(known: argparse.Namespace) -> str:
    from neurodyn.training.answering import show_predictions, write_predictions

    run = _load(known)
    if known.out is None:
        return show_predictions(run, known.files, known.batch_size)
    return write_predictions(run, known.files, known.out, known.batch_size)


def _energy(known: argparse.Namespace, options: dict[str, Any]) -> str:
    run = _load(known, options)
    if not known.files:
        what = f"test set of {run.data_name}"
        advice = f"To measure on other files, name them: neurodyn energy {known.run} FILES"
        with _test_set(run, advice):
            activity = run.energy(batch_size=known.batch_size, progress=True)
    else:
        what, files = "files", run.data.read_files(known.files)
        activity = run.energy(files, batch_size=known.batch_size, progress=True)
    return (
        f"{activity.table()}\n\nPer sample, over {activity.samples:,} samples ({what}): "
        f"{activity.rate:.3f} spikes per neuron and step, {activity.energy / 1000:,.1f} nJ of "
        f"arithmetic, {activity.memory_energy() / 1000:,.1f} nJ of memory."
    )


def _convert(known: argparse.Namespace, options: dict[str, Any]) -> str:
    run = _load(known, options)
    with _test_set(run):
        return single_spike(run, known)


@contextmanager
def _test_set(run: Any, advice: str = "") -> Iterator[None]:
    """In which the test set is read; an error says how to find it."""
    try:
        yield
    except FileNotFoundError as error:
        option = "path" if hasattr(run.data, "path") else "root"
        where = f"It has the test set: --data.{option} says where it is now."
        raise FileNotFoundError(f"{error}. {where} {advice}".rstrip()) from error


def _card(known: argparse.Namespace) -> str:
    from neurodyn.training.card import write_card, write_cards
    from neurodyn.training.loading import load

    if len(known.run) > 1:
        if known.out is None:
            raise ValueError("out: expected a folder for the cards of several runs, got none")
        runs = (load(run, checkpoint=known.checkpoint) for run in known.run)
        return "\n".join(map(str, write_cards(runs, known.out, known.license)))
    run = load(known.run[0], checkpoint=known.checkpoint)
    return str(write_card(run, known.out or run.place.folder / "card", known.license))


def _load(known: argparse.Namespace, options: dict[str, Any] | None = None) -> Any:
    from neurodyn.training.loading import load

    return load(known.run, checkpoint=known.checkpoint, device=known.device, data=options)


def _data_options(command: str, rest: Sequence[str]) -> dict[str, Any]:
    """Options of the data set, `--data.name value` or `--data.name=value`."""
    import yaml

    found: dict[str, Any] = {}
    words = list(rest)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--data."):
            raise ValueError(f"{command}: unknown option {word!r}; expected --data.NAME VALUE")
        if not equals:
            if not words:
                raise ValueError(f"{name}: expected a value")
            value = words.pop(0)
        found[name.removeprefix("--data.")] = yaml.safe_load(value)
    return found
