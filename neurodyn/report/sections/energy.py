"""Where the energy goes: synapses and neurons, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neurodyn.analysis.activity import LayerActivity
from neurodyn.analysis.pictures import layer_names, short_name
from neurodyn.report.context import Context, chooser, legend, note, panel
from neurodyn.report.html import Markup, el
from neurodyn.report.svg import BOTTOM, TOP, WIDTH, Plot

ROW, BAR = 30, 18
KINDS = [("bar-synapses", "synapses"), ("bar-neurons", "neurons")]


@dataclass
class Row:
    """A layer: nanojoules per sample of its synapses and of its neurons, and its spikes."""

    name: str
    synapses: float = 0.0
    neurons: float = 0.0
    spikes: float = 0.0


def show(context: Context) -> Markup:
    """Bars per contender, on one axis for all."""
    found = {}
    for neuron, run in context.looked_into().items():
        activity = context.folder.activity(run)
        if activity and activity.get("samples"):
            found[neuron] = layer_rows(activity)
    if not found:
        return note(
            "No run has recorded the activity of its layers: none was tested, or an older version "
            "made them. ",
            el("code", "neurodyn energy RUN"),
            " measures it.",
        )
    most = max(row.synapses + row.neurons for rows in found.values() for row in rows)
    first = context.favourite(found)
    panels = [
        panel("energy", i, _bars(rows, most), first=first) for i, rows in enumerate(found.values())
    ]
    names = list(map(short_name, found))
    return el(
        "div",
        el("div", chooser("energy", "contender", names, first), class_="controls"),
        el("figure", legend(KINDS), *panels),
        note(
            "Arithmetic per test sample, estimated from counted operations at 45 nm; no chip was "
            "measured. The axis is the same for all contenders."
        ),
    )


def layer_rows(activity: dict[str, Any]) -> list[Row]:
    """The layers of an activity, as a run records it. The synapses in front of a layer's neurons
    belong to it, and so do its recurrent ones; the last ones are the read-out's."""
    samples = float(activity["samples"])
    parts = {
        str(path): LayerActivity(**{**part, "operations": tuple(part["operations"])})
        for path, part in activity["layers"].items()
    }
    paths = [path for path, part in parts.items() if part.updates]
    names = dict(zip(paths, layer_names(paths), strict=True))
    rows: list[Row] = []
    waiting = 0.0
    for path, part in parts.items():
        energy = part.energy / samples / 1000
        if path in names:
            rows.append(Row(names[path], waiting, energy, part.spikes / samples))
            waiting = 0.0
        elif rows and path.endswith(".V"):
            rows[-1].synapses += energy
        else:
            waiting += energy
    return [*rows, Row("read-out", waiting)] if waiting else rows


def _bars(rows: list[Row], most: float) -> Markup:
    longest = max(len(row.name) for row in rows)
    plot = Plot(
        (0.0, 1.2 * most or 1.0),
        (len(rows) - 0.5, -0.5),
        label="Energy by layer",
        xlabel="energy per sample [nJ]",
        size=(WIDTH, TOP + BOTTOM + ROW * len(rows)),
        left=min(170, 16 + 7.4 * longest),
    )
    plot.yticks = [(i, row.name) for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        left = 0.0
        for (class_, kind), energy in zip(KINDS, (row.synapses, row.neurons), strict=True):
            x, width = plot.x(left), plot.x(left + energy) - plot.x(left)
            told = f"{row.name}, {kind}: {energy:,.2f} nJ"
            if kind == "neurons" and row.spikes:
                told += f", {row.spikes:,.0f} spikes per sample"
            box = {"x": round(x, 1), "y": round(plot.y(i) - BAR / 2, 1), "height": BAR}
            plot.parts.append(
                el("rect", el("title", told), **box, width=round(width, 1), class_=class_)
            )
            left += energy
        plot.text(plot.x(left) + 4, plot.y(i) + 4.5, f"{left:,.1f}", "value")
    return plot.render()
