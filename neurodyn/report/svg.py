"""Plots as SVG: axes, lines, bands, dots. Colours are classes of the page's style sheet.

A plot is drawn about as wide as a telephone, so that its text can be read there; on a desk it is
scaled up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from neurodyn.report.html import Markup, el, joined

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 12, 46
TICK = 13
"""Size of the text at ticks."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From values `low` to `high` to pixels `start` to `end`, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the scale, about so many."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [m * 10.0**p for p in powers for m in (1, 2, 5)]
            inside = [v for v in found if self.low <= v <= self.high]
            return inside if len(inside) <= most + 1 else [v for v in inside if _is_power(v)]
        step = nice_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [step * i for i in range(first, last + 1)]


def nice_step(least: float) -> float:
    """The next of ..., 1, 2, 5, 10, ... above a number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


def short(value: float) -> str:
    """A number at a tick."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


class Plot:
    """Axes and what is drawn in them.

    Args:
        x, y: the limits of the axes, `(low, high)`.
        label: what is shown, for readers of the screen.
        xlabel, ylabel: of the axes.
        size: width and height.
        left, top: room at the left, for labels, and at the top.
        log: which axes are logarithmic, such as `"xy"`.
        whole: whether the horizontal axis has whole numbers only.
    """

    def __init__(
        self,
        x: Point,
        y: Point,
        *,
        label: str,
        xlabel: str = "",
        ylabel: str = "",
        size: tuple[float, float] = (WIDTH, HEIGHT),
        left: float = LEFT,
        top: float = TOP,
        log: str = "",
        whole: bool = False,
    ) -> None:
        self.width, self.height = size
        self.x = Scale(*x, left + (18 if ylabel else 0), self.width - RIGHT, log="x" in log)
        self.y = Scale(*y, self.height - BOTTOM, top, log="y" in log)
        self.label, self.xlabel, self.ylabel, self.whole = label, xlabel, ylabel, whole
        self.xticks: list[tuple[float, str]] | None = None
        self.yticks: list[tuple[float, str]] | None = None
        self.under: list[Markup] = []
        self.parts: list[Markup] = []

    def path(self, points: Iterable[Point]) -> str:
        """The path of a line through points, in pixels. It breaks where a number is not finite."""
        found, pen = [], "M"
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            found.append(f"{pen}{self.x(x):.1f} {self.y(y):.1f}")
            pen = "L"
        return "".join(found)

    def line(self, points: Iterable[Point], class_: str, **more: Any) -> None:
        """A line through points."""
        self.parts.append(el("path", d=self.path(points), class_=f"line {class_}", **more))

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], k: str) -> None:
        """The area between two lines."""
        there = list(zip(x, low, strict=True))
        back = list(zip(x, high, strict=True))[::-1]
        self.under.append(el("path", d=f"{self.path([*there, *back])}Z", class_=f"band {k}"))

    def dot(self, x: float, y: float, class_: str, title: str = "", r: float = 4.5) -> None:
        """A dot. The title is shown when it is pointed at."""
        text = el("title", title) if title else None
        place = {"cx": round(self.x(x), 1), "cy": round(self.y(y), 1)}
        self.parts.append(el("circle", text, **place, r=r, class_=f"dot {class_}"))

    def text(self, x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> None:
        """Words at a place, in pixels."""
        self.parts.append(
            el("text", words, x=round(x, 1), y=round(y, 1), class_=class_, text_anchor=anchor)
        )

    def across(self, y: float, words: str, class_: str = "chance") -> None:
        """A horizontal line over the whole width, with words at its end."""
        at = round(self.y(y), 1)
        ends = {"x1": self.x.start, "x2": self.x.end, "y1": at, "y2": at}
        self.under.append(el("line", **ends, class_=class_))
        below = at + 14 if at + 18 < self.y.start else at - 5
        self.text(self.x.end, below, words, f"{class_}-word", "end")

    def down(self, x: float, words: str = "", class_: str = "chance") -> None:
        """A vertical line over the whole height, with words at its top."""
        at = round(self.x(x), 1)
        ends = {"x1": at, "x2": at, "y1": self.y.start, "y2": self.y.end}
        self.under.append(el("line", **ends, class_=class_))
        if words:
            left = at > (self.x.start + self.x.end) / 2
            side = (at - 5, "end") if left else (at + 5, "start")
            self.text(side[0], self.y.end + 1, words, f"{class_}-word", side[1])

    def window(self, *children: Any) -> Markup:
        """Children that are cut off at the axes."""
        box = (self.x.start, self.y.end, self.x.end - self.x.start, self.y.start - self.y.end)
        x, y, width, height = (f"{value:g}" for value in box)
        shape = {"x": x, "y": y, "width": width, "height": height}
        return el("svg", *children, **shape, viewBox=f"{x} {y} {width} {height}")

    def render(self, **attributes: Any) -> Markup:
        """The plot as an element."""
        return el(
            "svg",
            el("title", self.label),
            self._axes(),
            self.under,
            self.parts,
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            role="img",
            class_=attributes.pop("class_", "plot"),
            **attributes,
        )

    def _axes(self) -> Markup:
        x, y = self.x, self.y
        xticks = self.xticks
        if xticks is None:
            values = x.ticks(6)
            values = [v for v in values if not self.whole or v == round(v)]
            xticks = [(v, short(v)) for v in values]
        yticks = [(v, short(v)) for v in y.ticks(5)] if self.yticks is None else self.yticks
        bottom = y.start
        parts = [
            el("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="level")
            for at in (round(y(v), 1) for v, words in yticks if words)
        ]
        parts.append(el("path", d=f"M{x.start} {bottom}H{x.end}", class_="axis"))
        for value, words in xticks:
            at = round(x(value), 1)
            parts.append(el("path", d=f"M{at} {bottom}v4", class_="axis"))
            parts.append(el("text", words, x=at, y=bottom + 18, text_anchor="middle"))
        for value, words in yticks:
            parts.append(
                el("text", words, x=x.start - 7, y=round(y(value), 1) + 4.5, text_anchor="end")
            )
        middle = (x.start + x.end) / 2
        parts.append(
            el(
                "text",
                self.xlabel,
                x=middle,
                y=self.height - 8,
                text_anchor="middle",
                class_="name",
            )
        )
        if self.ylabel:
            at = (y.start + y.end) / 2
            turned = {"transform": f"rotate(-90 14 {at:g})", "text_anchor": "middle"}
            parts.append(el("text", self.ylabel, x=14, y=at, class_="name", **turned))
        return joined(parts)


def _is_power(value: float) -> bool:
    return abs(math.log10(value) - round(math.log10(value))) < 1e-9
