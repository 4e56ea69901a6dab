"""The eigenvalues of a layer whose neurons have several states: two views of the same modes."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodyn.analysis.spectrum import FORGOTTEN, PERIODS, STRIP, TAUS, TICKS
from neurodyn.comparison.course import Layer
from neurodyn.report.context import panel
from neurodyn.report.html import Markup, el
from neurodyn.report.packing import words
from neurodyn.report.sections.maps import FINE
from neurodyn.report.svg import Plot, Scale

SIZE = (420, 380)
Floats = NDArray[np.float64]


def mode_panels(layer: Layer, key: str, data: dict[str, Any]) -> list[Markup]:
    """The two plots of a layer, of which one is shown.

    Args:
        layer: with its frames.
        key: by which the script finds them.
        data: of the page; the frames are added.
    """
    modes = np.stack(layer.frames).astype(np.complex128)
    # One mode of a complex pair is drawn, and of those that are gone within a step none.
    hidden = (modes.imag < -1e-7) | (np.abs(modes) < FORGOTTEN) | ~np.isfinite(modes)
    hidden[..., 0] &= ~np.isfinite(modes[..., 0])
    modes = np.where(hidden, np.nan, np.where(np.abs(modes) < FORGOTTEN, FORGOTTEN, modes))
    views = (_by_time(layer, modes), _in_plane(layer, modes))
    shown = []
    for number, (plot, x, y) in enumerate(views):
        places = np.stack([_at(plot.x, x), _at(plot.y, y)], -1)
        places = places.reshape(len(modes), -1, 2)
        name = f"{key}-{number}"
        if len(places) > 1:
            plot.parts.append(el("path", d=_dots(places[0]), class_="before dots"))
        plot.parts.append(el("path", d=_dots(places[-1]), class_="after dots", data_frames=name))
        data.setdefault("frames", {})[name] = {"dots": words(FINE * places)}
        shown.append(panel("view", number, plot.render()))
    return shown


def _by_time(layer: Layer, modes: NDArray[np.complex128]) -> tuple[Plot, Floats, Floats]:
    """Time constant against period. Modes without one stand in a strip at the edge."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tau, period = -1 / np.log(np.abs(modes)), 2 * math.pi / np.abs(np.angle(modes))
    known = np.isfinite(modes)
    right, top = _edge(period), _edge(tau)
    x, y = _placed(period, right), _placed(tau, top)
    # Side by side in the strip: many neurons may have the same time constant.
    aside = STRIP ** np.linspace(-0.5, 0.5, modes.shape[1])[:, None]
    x = np.where(known, np.where(x == right, x * aside, x), np.nan)
    y = np.where(known, y, np.nan)
    limits = [(np.nanmin(v) / 1.3, max(np.nanmax(v) * 1.3, np.nanmin(v) * 2)) for v in (x, y)]
    plot = Plot(
        *limits,
        label=f"Modes of {layer.title}: time constant by period",
        xlabel="period [timesteps]",
        ylabel="time constant [timesteps]",
        size=SIZE,
        log="xy",
    )
    plot.xticks = _ticks(limits[0], right, "none")
    plot.yticks = _ticks(limits[1], top, "never")
    _shade(plot, right / STRIP**2)
    return plot, x, y


def _in_plane(layer: Layer, modes: NDArray[np.complex128]) -> tuple[Plot, Floats, Floats]:
    """The upper half of the complex plane, with the same scale on both axes."""
    left = min(np.nanmin(modes.real), 0.5) - 0.1
    right = max(np.nanmax(modes.real), 1.0) + 0.1
    top = max(np.nanmax(modes.imag), 0.3) + 0.1
    plot = Plot((left, right), (0.0, 1.0), label="", size=SIZE, ylabel="imaginary part")
    scale = (plot.x.end - plot.x.start) / (right - left)
    height = min(max(scale * (top + 0.03), 120), 420)
    plot = Plot(
        (left, right),
        (-0.03, height / scale - 0.03),
        label=f"Eigenvalues of {layer.title} in the complex plane",
        xlabel="real part",
        ylabel="imaginary part",
        size=(SIZE[0], height + 58),
    )
    _draw_plane(plot)
    return plot, modes.real, np.abs(modes.imag)


def _draw_plane(plot: Plot) -> None:
    """The unit circle, arcs of the same time constant, rays of the same period."""
    arcs: list[Any] = []
    for radius, class_ in [(1.0, "circle"), *((math.exp(-1 / tau), "guide") for tau in TAUS)]:
        points = [cmath.rect(radius, math.pi * i / 90) for i in range(91)]
        arcs.append(el("path", d=plot.path((p.real, p.imag) for p in points), class_=class_))
    for turn in PERIODS:
        tip = cmath.rect(1.0, 2 * math.pi / turn)
        arcs.append(el("path", d=plot.path([(0, 0), (tip.real, tip.imag)]), class_="guide"))
        x, y = plot.x(1.04 * tip.real), plot.y(1.04 * tip.imag)
        inside = plot.x.start < x < plot.x.end - 20 and y > plot.y.end + 8
        if inside and turn in (4, 8, 12, 20):
            arcs.append(el("text", f"{turn}", x=round(x, 1), y=round(y, 1), class_="guide-word"))
    plot.under.append(plot.window(*arcs))


def _shade(plot: Plot, right: float) -> None:
    """Shade where modes decay before they turn, `period > 2 pi tau`."""
    left, bottom = plot.x.low, plot.y.low
    right = min(right, plot.x.high)
    if right < 6 * left or right / (2 * math.pi) <= bottom:
        return
    start = max(left, 2 * math.pi * bottom)
    corners = [(start, start / (2 * math.pi)), (right, right / (2 * math.pi)), (right, bottom)]
    area = el("path", d=f"{plot.path([*corners, (start, bottom)])}Z", class_="shade")
    plot.under.append(plot.window(area))
    plot.text(plot.x(right) - 5, plot.y.start - 6, "decays before it turns", "guide-word", "end")


def _edge(values: Floats) -> float:
    """Where modes stand that have no such time: behind all others."""
    finite = values[np.isfinite(values) & (values > 0)]
    return STRIP**3 * float(finite.max()) if len(finite) else 10.0


def _placed(values: Floats, edge: float) -> Floats:
    return np.where(np.isfinite(values) & (values > 0), np.minimum(values, edge), edge)


def _ticks(limits: tuple[float, float], edge: float, word: str) -> list[tuple[float, str]]:
    low, high = limits
    found = [float(t) for t in TICKS if low <= t <= min(high, edge / STRIP**2)]
    while len(found) > 6:
        found = found[::2]
    ticks = [(t, f"{t:,.0f}") for t in found]
    return [*ticks, (edge, word)] if edge <= high else ticks


def _at(scale: Scale, values: Floats) -> Floats:
    shares = (
        np.log(values / scale.low) / math.log(scale.high / scale.low)
        if scale.log
        else (values - scale.low) / (scale.high - scale.low)
    )
    return scale.start + shares * (scale.end - scale.start)


def _dots(places: Floats) -> str:
    """Dots are lines without length, with round ends."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places.tolist() if x == x and y == y)
