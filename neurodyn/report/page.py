"""The page: sections, style, script and data in one HTML file that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from neurodyn import __version__
from neurodyn.files import write
from neurodyn.report.context import Context, note
from neurodyn.report.folder import RunFolder
from neurodyn.report.html import Markup, el, joined, json_block
from neurodyn.report.palette import colour_classes
from neurodyn.report.sections import (
    confusion,
    curves,
    dynamics,
    energy,
    provenance,
    samples,
    scores,
    table,
    verdict,
)

PAGE = "report.html"
"""The file in a run folder."""

LIMIT = 4_500_000
"""Bytes of a page, at most. A larger one is written again with fewer epochs and samples."""

Section = Callable[[Context], Markup | None]

SECTIONS: dict[str, Section] = {
    "Results": table.show,
    "Final results by seed": scores.show,
    "Learning curves": curves.show,
    "What the neurons learned": dynamics.show,
    "Samples": samples.show,
    "Answers by class": confusion.show,
    "Energy by layer": energy.show,
    "Settings and provenance": provenance.show,
}
"""The sections by their headings. One that has nothing to show for a task is left out."""

HALF = (scores.show, curves.show, confusion.show, energy.show)
"""Those that take half the width of a desk's screen."""


def write_page(
    folder: Path,
    *,
    out: Path | None = None,
    data: Mapping[str, Any] | None = None,
    read_data: bool = True,
) -> Path:
    """Write the page of a run folder; returns its path.

    The folder is that of a comparison, of one of its runs, or of a `fit`. Networks are run on a few
    samples of their test set if the data are there. The page says what is missing. Nothing in the
    folder can run code, neither here nor in the page.

    Args:
        folder: the run folder.
        out: the file; `report.html` in the folder unless given.
        data: options of the data set that are different here, such as `{"root": "~/data"}`.
        read_data: False leaves the samples out.
    """
    context = Context(RunFolder(folder), read_data, data or {})
    for share in (1.0, 0.5, 0.25, 0.1):
        context.share = share
        page = render(context)
        if len(page.encode()) <= LIMIT:
            break
    return write(out or folder / PAGE, page)


def render(context: Context) -> str:
    """The page as text."""
    context.data = {}
    links, shown = [], []
    for heading, section in SECTIONS.items():
        if (drawn := _guarded(section, context)) is not None:
            anchor = heading.lower().replace(" ", "-")
            half = "half" if section in HALF else None
            links.append(el("a", heading, href=f"#{anchor}"))
            shown.append(el("section", el("h2", heading), drawn, id=anchor, class_=half))
    title = context.folder.title
    kind = el("p", "neurodyn report", class_="kind")
    top = el("header", kind, el("h1", title), el("p", _about(context), class_="note"))
    # After the sections: they find out what cannot be read.
    words = _guarded(verdict.show, context)
    style = _asset("page.css") + colour_classes(context.folder.neurons)
    script = _asset("page.js") + _asset("samples.js")
    body = [top, el("main", words, el("nav", links), shown), _footer()]
    return "<!doctype html>\n" + el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("title", f"{title}: neurodyn report"),
            el("style", Markup(style)),
        ),
        el("body", *body, json_block("data", context.data), el("script", Markup(script))),
        lang="en",
    )


def _about(context: Context) -> str:
    """Network and data, how many runs, how long."""
    folder = context.folder
    settings = next((found for run in folder.runs if (found := folder.settings(run))), {})
    paths = ("model.network.class_path", "data.class_path")
    names = [str(settings[path]).rpartition(".")[2] for path in paths if settings.get(path)]
    epochs = settings.get("trainer.max_epochs")
    counted = [(len(folder.neurons), "contender"), (len(folder.runs), "run")]
    told = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counted]
    return " · ".join([" on ".join(names), *told, *([f"{epochs} epochs"] if epochs else [])])


def _guarded(part: Section, context: Context) -> Markup | None:
    """A part of a page. One that cannot be drawn says why, and the others are there."""
    try:
        return part(context)
    except Exception as error:  # Whatever a damaged folder holds.
        name = part.__module__.rpartition(".")[2]
        return note(f"The part {name!r} could not be drawn: {type(error).__name__}: {error}")


def _policy(style: str, script: str) -> str:
    """What the page may do: show itself, and run its own script. Nothing else runs or is loaded."""
    return (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; "
        f"script-src 'sha256-{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("neurodyn.report").joinpath(name).read_text(encoding="utf-8")


def _footer() -> Markup:
    return el(
        "footer", joined(["Written by neurodyn ", __version__, ". This file needs no network."])
    )
