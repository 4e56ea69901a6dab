"""The table of the finished runs."""

from __future__ import annotations

from neurodyn.comparison.tables import table_rows
from neurodyn.comparison.verdict import unbeaten
from neurodyn.report.context import Context, breakable, note
from neurodyn.report.html import Markup, el


def show(context: Context) -> Markup | None:
    """A row per contender; in bold those that no other one is ahead of."""
    runs = context.folder.finished
    if not runs:
        return note("There is no finished run.")
    headings, *rows = table_rows(runs)
    best = unbeaten(runs)
    head = el("tr", [el("th", heading, scope="col") for heading in headings])
    body = [
        el(
            "tr",
            el("th", *breakable(row[0]), scope="row"),
            [
                el("td", el("strong", cell) if i == 1 and row[0] in best else cell)
                for i, cell in enumerate(row[1:])
            ],
        )
        for row in rows
    ]
    words = "Mean ± standard deviation over seeds; activity and energy per test sample. "
    told = "No contender is ahead of those in bold." if best else ""
    table = el("table", el("thead", head), el("tbody", body))
    scrolled = el("div", table, class_="scroll", tabindex=0)
    return el("div", scrolled, note(words, told), _study(context))


def _study(context: Context) -> Markup | None:
    """What a study concludes from its runs, as it is written in `study.md`."""
    text = context.folder.study
    return el("div", el("h3", "The study"), el("pre", text, class_="scroll")) if text else None
