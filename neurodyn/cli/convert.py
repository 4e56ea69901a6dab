"""The command `convert`: a trained network as one of another kind of neurons."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

TARGETS = ("single-spike",)
EMISSIONS = ("graded", "binary")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command that others do not have."""
    parser.add_argument("--to", required=True, choices=TARGETS, help="what it becomes")
    parser.add_argument(
        "--emission",
        choices=EMISSIONS,
        default="graded",
        help="graded: the network may fire several times in one step, and its twin equals it. "
        "binary: as most are trained; how far the twin is from it, at shorter and shorter steps",
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="copies of each neuron (default: as many as it fires on the test set)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N test samples only")
    parser.epilog = "Options of the data set pass through, such as --data.root ~/data."


def single_spike(run: Any, known: argparse.Namespace) -> str:
    """The page about a run's network and its single-spike twin, on the test set.

    Args:
        run: the trained model.
        known: the parsed arguments of the command.
    """
    from neurodyn.convert import (
        compare_steps,
        compare_unfolded,
        measured_bound,
        steps_table,
        unfold,
    )
    from neurodyn.convert.trained.conditions import check_convertible
    from neurodyn.errors import check

    for name in ("steps", "limit"):
        if (value := getattr(known, name)) is not None:
            check(name, value, 1)
    try:
        check_convertible(run.network)
    except ValueError as error:
        raise ValueError(f"{known.run}: {error}") from error
    batches, answer = _batches(run, known), _answer(run)
    bound = known.steps or measured_bound(run.network, batches)
    twin = unfold(run.network, emission=known.emission, bound=bound)
    report = compare_unfolded(run.network, twin, batches, answer=answer)
    if known.emission == "graded":
        return str(report)
    try:
        table = steps_table(compare_steps(run.network, batches, answer=answer))
    except ValueError as reason:
        return f"{report}\n\nShorter steps were not tried. {reason}"
    return f"{report}\n\nThe same at shorter steps, in parts of the trained network's:\n\n{table}"


def _answer(run: Any) -> Callable[[Any], Any]:
    """From the network's outputs to what the model answers."""
    return lambda outputs: run.answer(run.readout(outputs)).answers


def _batches(run: Any, known: argparse.Namespace) -> list[Any]:
    """The test set; with targets where an answer is right or wrong."""
    whole = run.test_batches(batch_size=known.batch_size, limit=known.limit, progress=True)
    judged = run.targets.kind == "classes" and not run.targets.per_step
    return [(x, targets.cpu() if judged else None, lengths) for x, targets, lengths in whole]
