"""What the sections of a page share: the run folder, colours, the data for the script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from neurodyn.analysis.pictures import short_name
from neurodyn.comparison.folder import by_neuron
from neurodyn.report.folder import RunFolder, Shown
from neurodyn.report.html import Markup, el
from neurodyn.report.probe import Probe, probe

MOST = 12
"""Contenders whose runs are looked into. The table and the curves have all."""


@dataclass
class Context:
    """What a section draws from.

    Attributes:
        folder: the runs.
        read_data: whether the runs' data may be read, to run the networks on samples.
        options: options of the data set that are different here, such as its place.
        data: what the script of the page gets, by name.
        share: of the frames and samples that are shown, if a page would be too large with all.
        unprobed: why the network of a contender could not be run on samples.
    """

    folder: RunFolder
    read_data: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    unprobed: dict[str, str] = field(default_factory=dict)
    _probes: dict[str, Probe] | None = None

    def colour(self, neuron: str) -> str:
        """The class with the colour of a contender."""
        return f"k{self.folder.neurons.index(neuron)}"

    def looked_into(self) -> dict[str, Shown]:
        """The contenders whose runs are looked into, each with one run."""
        return dict(list(self.folder.firsts().items())[:MOST])

    def probes(self) -> dict[str, Probe]:
        """What the network of each contender does with samples of its test set."""
        if self._probes is None:
            self._probes = {}
            for neuron, run in self.looked_into().items():
                try:
                    if not self.read_data:
                        raise ValueError("the data were not asked for")
                    self._probes[neuron] = probe(run.home, self.options)
                except Exception as error:  # A user's own network and data end in many ways.
                    self.unprobed[neuron] = str(error) or type(error).__name__
        return self._probes

    def names(self, classes: int) -> list[str]:
        """The names of the classes; their numbers, if nothing tells the names."""
        for one in self.probes().values():
            if one.answers.targets.outputs == classes:
                return [one.answers.targets.name(k) for k in range(classes)]
        return [str(k) for k in range(classes)]

    def favourite(self, names: Iterable[str]) -> int:
        """Which of some contenders is shown first: the one with the highest mean score."""
        scores = by_neuron(self.folder.finished, lambda run: run["score"])
        means = [fmean(scores.get(name, [float("-inf")])) for name in names]
        return means.index(max(means))

    def left_out(self) -> Markup | None:
        """A note if there are more contenders than that."""
        more = len(self.folder.neurons) - MOST
        return note(f"The first {MOST} contenders are shown, {more} are not.") if more > 0 else None


def note(*words: Any) -> Markup:
    """A sentence about what is missing, or how to read a picture."""
    return el("p", *words, class_="note")


def chooser(group: str, label: str, names: Sequence[str], first: int = 0) -> Markup:
    """A list to choose from; the script shows the panels of the group with that number."""
    options = [el("option", n, value=i, selected=i == first) for i, n in enumerate(names)]
    return el("label", f"{label} ", el("select", options, data_chooses=group))


def panel(group: str, number: int, *children: Any, first: int = 0) -> Markup:
    """What is shown while one entry of a list is chosen."""
    return el("div", *children, data_group=group, data_choice=number, hidden=number != first)


def breakable(name: str) -> list[Any]:
    """A contender's name, which may break behind its colons and equals signs."""
    return [[part, el("wbr")] for part in re.findall(r"[^:=]*[:=]?", short_name(name))]


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Names with a mark in their colour: `(class, name)`."""
    return el(
        "p",
        [
            el("span", el("i", class_=f"mark {class_}"), name, class_="entry")
            for class_, name in entries
        ],
        class_="legend",
    )
