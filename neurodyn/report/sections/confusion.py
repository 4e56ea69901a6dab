"""Which class was taken for which, on the test set."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodyn.analysis.confusion import MOST
from neurodyn.analysis.pictures import short_name
from neurodyn.comparison.folder import by_neuron
from neurodyn.report.context import MOST as CONTENDERS
from neurodyn.report.context import Context, chooser, note, panel
from neurodyn.report.html import Markup, el

SIDE = 420


def show(context: Context) -> Markup | None:
    """A matrix per contender, summed over its seeds."""
    counted = [run for run in context.folder.finished if run.get("confusion")]
    if not counted:
        return None
    groups = dict(list(by_neuron(counted, lambda run: run["confusion"]).items())[:CONTENDERS])
    counts = {
        name: np.sum([np.array(one, dtype=float) for one in g], 0) for name, g in groups.items()
    }
    first = context.favourite(counts)
    panels = [
        panel("confusion", i, _matrix(context, one), first=first)
        for i, one in enumerate(counts.values())
    ]
    names = list(map(short_name, counts))
    words = (
        "Rows are the true classes, columns the answers. A cell is the share of its row in "
        "percent, over the test set and all seeds."
    )
    return el(
        "div",
        el("div", chooser("confusion", "contender", names, first), class_="controls"),
        el("figure", *panels),
        note(words),
    )


def _matrix(context: Context, counts: Any) -> Markup:
    classes = len(counts)
    if counts.shape != (classes, classes):
        return note(f"Expected a square matrix, got {counts.shape}.")
    names = [name if len(name) <= 12 else f"{name[:11]}…" for name in context.names(classes)]
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    left = 28 + 7.5 * max(map(len, names)) if classes <= MOST else 30
    side = (SIDE - left - 6) / classes
    turned = side < 7.5 * max(map(len, names))
    top = (12 + 7.5 * max(map(len, names)) if turned else 24) if classes <= MOST else 8
    cells = []
    for i in range(classes):
        for j in range(classes):
            share = float(shares[i, j])
            x, y = round(left + j * side, 1), round(top + i * side, 1)
            told = f"{names[i]} taken for {names[j]}: {share:.1f} % ({counts[i, j]:,.0f})"
            box = {"x": x, "y": y, "width": round(side, 2), "height": round(side, 2)}
            if share or i == j or classes <= MOST:
                opacity = round(0.04 + 0.96 * share / 100, 3)
                cells.append(
                    el("rect", el("title", told), **box, class_="cell", fill_opacity=opacity)
                )
            if share >= 0.5 and side >= 20:
                at = {"x": round(x + side / 2, 1), "y": round(y + side / 2 + 4.5, 1)}
                dark = " on" if share > 55 else ""
                cells.append(
                    el("text", f"{share:.0f}", **at, text_anchor="middle", class_=f"count{dark}")
                )
    labels = _labels(names, left, top, side, turned) if classes <= MOST else []
    height = top + side * classes + 26
    axes = [
        el(
            "text",
            "answer",
            x=left + side * classes / 2,
            y=round(height - 6, 1),
            class_="name",
            text_anchor="middle",
        ),
        el(
            "text",
            "true class",
            x=12,
            y=top + side * classes / 2,
            class_="name",
            text_anchor="middle",
            transform=f"rotate(-90 12 {top + side * classes / 2:.1f})",
        ),
    ]
    return el(
        "svg",
        el("title", "Confusion matrix"),
        *cells,
        *labels,
        *axes,
        viewBox=f"0 0 {SIDE} {height:.0f}",
        role="img",
        class_="plot",
    )


def _labels(names: list[str], left: float, top: float, side: float, turned: bool) -> list[Markup]:
    labels = []
    for k, name in enumerate(names):
        middle = (k + 0.5) * side
        labels.append(
            el(
                "text",
                name,
                x=round(left - 6, 1),
                y=round(top + middle + 4.5, 1),
                text_anchor="end",
            )
        )
        x, y = round(left + middle, 1), round(top - 6, 1)
        if turned:
            turn = {"transform": f"rotate(-90 {x + 4} {y})"}
            labels.append(el("text", name, x=x + 4, y=y, **turn))
        else:
            labels.append(el("text", name, x=x, y=y, text_anchor="middle"))
    return labels
