"""The verdict: who is ahead, in words, and which runs are not in it."""

from __future__ import annotations

from collections.abc import Iterator

from neurodyn.analysis.pictures import short_name
from neurodyn.comparison.folder import by_neuron, distinct
from neurodyn.comparison.tables import casualties, number
from neurodyn.comparison.verdict import listed, mean_and_spread, verdict
from neurodyn.report.context import Context
from neurodyn.report.folder import Shown
from neurodyn.report.html import Markup, el


def show(context: Context) -> Markup:
    """The verdict, the runs that are not in it, and what is missing."""
    folder = context.folder
    sentences = verdict(folder.finished) or list(_without(context))
    parts = [el("p", sentence, class_="verdict") for sentence in sentences]
    if any(len(group) > 1 for group in by_neuron(folder.finished).values()):
        parts.append(
            el("p", "Ahead: the means differ by more than both standard deviations.", class_="note")
        )
    lost = [{"neuron": r.neuron, "seed": r.seed, "why": r.why} for r in _in("diverged", context)]
    warnings = [*casualties(lost), *_unfinished(context), *folder.missing]
    if warnings:
        parts.append(el("ul", [el("li", line) for line in warnings], class_="warnings"))
    return el("div", parts)


def _without(context: Context) -> Iterator[str]:
    """What can be said where two contenders with several seeds are not there."""
    folder = context.folder
    groups = by_neuron(folder.finished, lambda run: run["score"])
    if not groups:
        yield "No run has been tested, so there is no result yet."
        best = max(((max(run.curve), run.name) for run in folder.runs if run.curve), default=None)
        if best:
            yield f"The best validation score so far is {best[0]:.2f} %, of {best[1]}."
        return
    told = []
    for neuron, scores in groups.items():
        seeds = f"{len(scores)} seeds" if len(scores) > 1 else "one seed"
        told.append(f"{short_name(neuron)} {number(*mean_and_spread(scores), 2)} % ({seeds})")
    yield f"Test {folder.metric}: {listed(told)}."
    if len(groups) > 1:
        yield (
            "One seed has no spread, so nothing says whether a difference is more than chance: "
            "two contenders with two seeds or more get a verdict."
        )


def _unfinished(context: Context) -> Iterator[str]:
    """A line for each contender with runs that have no result."""
    states = {
        "not finished": "stopped before the end, and not tested; the same command goes on with it",
        "not tested": "has no result on a test set",
    }
    for state, words in states.items():
        for neuron, seeds in by_neuron(
            [{"neuron": run.neuron, "seed": run.seed} for run in _in(state, context)],
            lambda run: run["seed"],
        ).items():
            told = [str(seed) for seed in distinct(seeds) if seed is not None]
            name = f"{neuron}, seed{'s' * (len(told) > 1)} {listed(told)}" if told else neuron
            curve = next(len(r.curve) for r in _in(state, context) if r.neuron == neuron)
            yield f"{name}: {words} ({curve} epoch{'' if curve == 1 else 's'} in its log)."


def _in(state: str, context: Context) -> list[Shown]:
    return [run for run in context.folder.runs if run.state == state]
