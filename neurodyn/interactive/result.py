"""What a comparison in Python comes to: a table, a verdict, pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from neurodyn.analysis.pictures import plot_curves
from neurodyn.analysis.scores import plot_scores
from neurodyn.comparison.folder import by_neuron, curves, diverged_runs, finished_runs
from neurodyn.comparison.tables import casualties, curve_label, markdown_table, table_rows
from neurodyn.comparison.verdict import verdict
from neurodyn.errors import unknown
from neurodyn.report import write_page

NO_VERDICT = "No verdict: it takes two neurons with at least two finished seeds each."
MEANT = "mean ± std over seeds; ahead: by more than both standard deviations"


class Comparison:
    """The finished runs of a comparison. A notebook shows its table, verdict and picture.

    There is an `ArithmeticError` if every run diverged. It names the page that shows how.

    Attributes:
        folder: with a folder for each run, which `neurodyn.load` takes.
        neurons: the labels of the contenders.
        runs: the results, a dictionary each, as `result.json` has them.
        diverged: the runs whose numbers stopped being finite.
    """

    def __init__(self, folder: Path, neurons: Sequence[str], seeds: Sequence[int]) -> None:
        self.folder, self.neurons = folder, tuple(neurons)

        def asked(run: dict[str, Any]) -> bool:
            return run["neuron"] in neurons and run["seed"] in seeds

        self.runs = sorted(
            filter(asked, finished_runs(folder)),
            key=lambda run: (self.neurons.index(run["neuron"]), run["seed"]),
        )
        self.diverged = list(filter(asked, diverged_runs(folder)))
        if not self.runs:
            raise ArithmeticError(
                f"every run diverged: {'; '.join(casualties(self.diverged))}. "
                f"All on one page: {write_page(folder)}"
            )

    @property
    def table(self) -> str:
        """A row per neuron, in Markdown: `mean ± std` over seeds."""
        return markdown_table(self.runs)

    @property
    def verdict(self) -> str:
        """Who is ahead of whom, in words, and which runs diverged."""
        return "\n".join([*(verdict(self.runs) or [NO_VERDICT]), *casualties(self.diverged)])

    def plot(self, what: Literal["scores", "curves"] = "scores") -> Figure:
        """A picture.

        Args:
            what: "scores" has a dot for each run, its result on the test set; "curves" has the
                validation score by epoch.
        """
        if what == "scores":
            scores = by_neuron(self.runs, lambda run: run["score"])
            figure = plot_scores(scores, xlabel=f"test {self.runs[0]['metric']} [%]")
        elif what == "curves":
            figure = plot_curves(curves(self.runs), ylabel=curve_label(self.runs))
        else:
            raise unknown("what", what, ("scores", "curves"))
        # Without pyplot, a notebook would show the figure's size and not the figure.
        vars(figure)["_repr_png_"] = lambda: _png(figure)
        return figure

    def report(self, out: str | Path | None = None) -> Path:
        """Write the page of all runs in the folder, in one offline HTML file; returns its path.

        Args:
            out: the file; `report.html` in the folder unless given.
        """
        return write_page(self.folder, out=None if out is None else Path(out))

    def __repr__(self) -> str:
        return f"{self.table}\n\n{self.verdict}\n\n{MEANT}\nruns: {self.folder}"

    def _repr_html_(self) -> str:
        heading, *rows = table_rows(self.runs)
        cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in heading)
        lines = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        words = "".join(f"<p>{html.escape(line)}</p>" for line in self.verdict.splitlines())
        picture = base64.b64encode(_png(self.plot())).decode()
        return (
            f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>{words}"
            f'<img alt="test results by seed" src="data:image/png;base64,{picture}">'
            f"<p><small>{html.escape(MEANT)}<br>runs: {html.escape(str(self.folder))}</small></p>"
        )


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
