"""The maps of a layer whose neurons have one state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neurodyn.analysis.dynamics import membrane_map
from neurodyn.comparison.course import BOUNDS, Layer
from neurodyn.neurons import LIF
from neurodyn.report.html import Markup, el
from neurodyn.report.packing import words
from neurodyn.report.svg import Plot

SIZE = (420, 380)
FINE = 10
"""Steps of a pixel that are told apart."""


def map_panel(layer: Layer, key: str, data: dict[str, Any]) -> list[Markup]:
    """The plot of a layer: the maps before training, and those of an epoch.

    Args:
        layer: with its frames.
        key: by which the script finds them.
        data: of the page; the frames are added.
    """
    plot = Plot(
        BOUNDS, BOUNDS, label=f"Maps of {layer.title}", xlabel="u", ylabel="F(u)", size=SIZE
    )
    u = torch.linspace(*BOUNDS, layer.frames[0].shape[0])
    y = np.stack([_pixels(plot, frame) for frame in layer.frames])
    x = [round(plot.x(value), 1) for value in u.tolist()]
    lif = membrane_map(LIF(), u).flatten().tolist()
    count = y.shape[2]
    single = "" if count == 1 else " many"
    plot.parts = [
        plot.window(
            el("path", d=plot.path([(BOUNDS[0],) * 2, (BOUNDS[1],) * 2]), class_="guide"),
            el("path", d=_lines(x, y[0]), class_=f"before{single}") if len(y) > 1 else None,
            el("path", d=_lines(x, y[-1]), class_=f"after{single}", data_frames=key),
            # On top: a neuron that stays LIF does not hide it.
            el("path", d=plot.path(zip(u.tolist(), lif, strict=True)), class_="guide dashed-guide"),
        )
    ]
    plot.down(layer.threshold, "threshold")
    # The script gets the curves of a frame one behind the other.
    packed = words(FINE * y.transpose(0, 2, 1))
    data.setdefault("frames", {})[key] = {"curves": count, "x": x, "y": packed}
    return [plot.render()]


def _pixels(plot: Plot, frame: Any) -> Any:
    start, end, low, high = plot.y.start, plot.y.end, plot.y.low, plot.y.high
    return start + (frame.astype(np.float64) - low) / (high - low) * (end - start)


def _lines(x: list[float], y: Any) -> str:
    lines = []
    for curve in y.T.clip(-3000, 3000).tolist():
        pen = "M"
        for at, value in zip(x, curve, strict=True):
            if value == value:  # NaN is a gap.
                lines.append(f"{pen}{at:.1f} {value:.1f}")
            pen = "L" if value == value else "M"
    return "".join(lines)
