"""What the neurons of each layer learned, with a slider over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurodyn.analysis.pictures import layer_names, short_name
from neurodyn.comparison.course import Course, Layer
from neurodyn.comparison.families import FAMILIES
from neurodyn.report.context import Context, chooser, legend, note, panel
from neurodyn.report.folder import Shown
from neurodyn.report.html import Markup, el
from neurodyn.report.sections.maps import map_panel
from neurodyn.report.sections.modes import mode_panels
from neurodyn.training.loading import load

MARKS = [("mark-before", "before training"), ("mark-after", "at this epoch")]


def show(context: Context) -> Markup:
    """Maps of neurons with one state, eigenvalues of those with several, layer by layer."""
    shown = {}
    for neuron, run in context.looked_into().items():
        course = context.folder.course(run) or _best(context, run)
        if course and course.layers and course.epochs:
            shown[neuron] = (run, _thinned(course, context.share))
    missing = [short_name(n) for n in context.looked_into() if n not in shown]
    gaps = note(
        f"No dynamics were recorded for {', '.join(missing)}, and no checkpoint has them: the "
        "network has no neurons, or the run ended before its first epoch."
    )
    if not shown:
        return gaps
    first = context.favourite(shown)
    panels, epochs = [], []
    for number, (run, course) in enumerate(shown.values()):
        panels.append(
            panel("dynamics", number, *_layers(context, number, run, course), first=first)
        )
        epochs.append(course.epochs)
    context.data["epochs"] = epochs
    last = len(epochs[first]) - 1
    slider = {"min": 0, "max": last, "value": last, "step": 1, "id": "epoch", "type": "range"}
    views = ["by time constant and period", "in the complex plane"]
    has_modes = any(layer.has_modes for _, course in shown.values() for layer in course.layers)
    controls = [
        chooser("dynamics", "contender", [short_name(name) for name in shown], first),
        el("label", "epoch ", el("input", **slider), el("output", str(epochs[first][-1]), id="at")),
        chooser("view", "eigenvalues", views) if has_modes else None,
    ]
    return el(
        "div",
        el("div", *controls, class_="controls"),
        *panels,
        context.left_out(),
        gaps if missing else None,
        note(_words(has_modes)),
    )


def _best(context: Context, run: Shown) -> Course | None:
    """The state of a run without a course, from its best checkpoint."""
    try:
        trained = load(run.home, data=context.options)
        return Course.of(trained.network, trained.saved.epoch or 0)
    except Exception:  # There is no such checkpoint, or no neuron in its network.
        return None


def _layers(context: Context, number: int, run: Shown, course: Course) -> list[Markup]:
    """The panels of a contender."""
    told = _told(course, context.folder.families(run))
    figures = []
    for i, layer in enumerate(course.layers):
        key = f"{number}-{i}"
        draw = mode_panels if layer.has_modes else map_panel
        try:
            pictures = draw(layer, key, context.data)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            pictures = [note(f"{layer.title} could not be drawn: {error}")]
        context.data.setdefault("words", {})[key] = told[i]
        figures.append(
            el(
                "figure",
                el("h3", layer.title),
                *pictures,
                el("figcaption", told[i][-1], data_words=key),
            )
        )
    seed = "" if run.seed is None else f"Seed {run.seed}: "
    alone = " Only this epoch was kept." if len(course.epochs) == 1 else ""
    which = note(f"{seed}{run.state}. {_kept(course.layers)}{alone}")
    maps = any(not layer.has_modes for layer in course.layers)
    marks = MARKS if len(course.epochs) > 1 else MARKS[1:]
    marks = [*marks, *([("mark-guide", "LIF, and F(u) = u")] if maps else [])]
    return [legend(marks), el("div", *figures, class_="grid"), which]


def _kept(layers: Sequence[Layer]) -> str:
    counts = sorted({one.frames[0].shape[0 if one.has_modes else 1] for one in layers})
    if counts == [1]:
        return "Each layer has one set of parameters."
    return f"Up to {counts[-1]} neurons of each layer are drawn, evenly spaced."


def _told(course: Course, families: dict[str, Any]) -> list[list[str]]:
    """For each layer and epoch the shares of the families of dynamics, in words."""
    names = dict(zip(families, layer_names(families), strict=True))
    by_title = {names[path]: rows for path, rows in families.items()}
    told = []
    for layer in course.layers:
        rows = by_title.get(layer.title.rpartition(", ")[0]) or by_title.get(layer.title) or []
        told.append([_shares(rows, epoch) for epoch in course.epochs])
    return told


def _shares(rows: Any, epoch: int) -> str:
    try:
        shares = rows[epoch]["families"]
        found = [(kind, float(shares[kind])) for kind in FAMILIES if shares.get(kind)]
    except (IndexError, KeyError, TypeError, ValueError):
        return ""
    return ", ".join(f"{100 * share:.0f} % {kind}" for kind, share in found)


def _thinned(course: Course, share: float) -> Course:
    """The course with a part of its epochs, the first and the last among them."""
    most = max(2, round(share * len(course.epochs)))
    if most >= len(course.epochs):
        return course
    places = sorted({round(i * (len(course.epochs) - 1) / (most - 1)) for i in range(most)})
    layers = [
        Layer(one.path, one.title, one.per, one.threshold, [one.frames[i] for i in places])
        for one in course.layers
    ]
    return Course([course.epochs[i] for i in places], layers)


def _words(has_modes: bool) -> str:
    maps = (
        "A map shows where a step without input takes the membrane: from u to F(u), before spike "
        "and reset. Where it crosses the line F(u) = u, the neuron rests."
    )
    modes = (
        " A neuron with several states is shown by the eigenvalues of a step at rest, its modes: "
        "the time constant says how slowly a mode decays, the period how slowly it turns."
    )
    return maps + modes * has_modes
