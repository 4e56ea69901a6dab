"""The page of a fitted cell: one file, pictures inside, nothing from elsewhere."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.biophysics.fitting.fitted import Fitted, Score
from neurodyn.biophysics.recordings import Recording
from neurodyn.errors import require

FILES = {"cell.json", "scores.json", "index.html"}
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;"
    "background:#fff;overflow-wrap:anywhere}figure{margin:0;overflow-x:auto}"
    "svg{width:100%;min-width:40rem;height:auto}table{border-collapse:collapse}"
    "td,th{padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;text-align:left}"
    "th{font-weight:normal}td{text-align:right;white-space:nowrap}"
    "pre{font-size:13px;white-space:pre-wrap}"
)
COLOURS = ("C0", "C1")
WORDS = {
    "rms": "voltage error between spikes [mV]",
    "nll": "negative log-likelihood per recorded spike [nats]",
    "gamma": "coincidence factor within 4 ms, sharp threshold",
    "ceiling": "coincidence factor of the repeats: the ceiling",
    "gamma_random": "coincidence factor, fired at random",
    "md_star": "Md*: random predictions and repeats as sets; 1 is alike",
    "explained": "explained variance of smoothed rates, share of the explainable",
    "spikes": "predicted spikes per recorded one",
}
"""The scores, for readers of the page."""

Fits = Mapping[str, tuple[Fitted, Score]]
"""Fitted neurons by name, with their scores on what was held out: the cell, then what it is
compared with."""


def check_folder(folder: Path) -> None:
    """An error if a folder holds something that a fitted cell's does not."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: expected a folder, got the file {folder}")
    if folder.is_dir() and (other := {path.name for path in folder.iterdir()} - FILES):
        raise ValueError(f"out: {folder} holds something else: {', '.join(sorted(other)[:4])}")


def write_folder(fits: Fits, test: Recording, folder: Path, title: str) -> Path:
    """The cell, its scores and its page, in a folder that appears whole or not at all.

    Args:
        fits: the first one is the cell.
        test: what was held out.
        folder: replaced if it holds a cell already.
        title: of the page.
    """
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        cell, _ = next(iter(fits.values()))
        cell.save(aside / "cell.json")
        scores = {name: score._asdict() for name, (_, score) in fits.items()}
        (aside / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
        (aside / "index.html").write_text(page(fits, test, title), encoding="utf-8")
        aside.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def page(fits: Fits, test: Recording, title: str) -> str:
    """As HTML."""
    shown = [
        ("Recorded and predicted voltage", voltages(fits, test)),
        ("Spikes", raster(fits, test)),
        ("F(u), what the membrane does without input", flows(fits)),
    ]
    pictures = "".join(f"<h2>{name}</h2><figure>{_svg(figure)}</figure>" for name, figure in shown)
    cells = "".join(f"<p>{html.escape(repr(fit))}</p>" for fit, _ in fits.values())
    title = html.escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        f"{cells}<h2>Scores on the part that was not fitted</h2>{_table(fits)}"
        f"{pictures}<h2>The part that was not fitted</h2><pre>{html.escape(repr(test))}</pre>"
        "</body></html>\n"
    )


def _table(fits: Fits) -> str:
    heads = "".join(f"<td>{html.escape(name)}</td>" for name in fits)
    rows = [f"<tr><th></th>{heads}</tr>"]
    for name, words in WORDS.items():
        values = [getattr(score, name) for _, score in fits.values()]
        numbers = "".join(f"<td>{'-' if v is None else f'{v:.3f}'}</td>" for v in values)
        rows.append(f"<tr><th>{words}</th>{numbers}</tr>")
    return f"<table>{''.join(rows)}</table>"


def voltages(fits: Fits, test: Recording, window: float = 1000.0) -> Any:
    """The first second with spikes: recorded, and predicted with the recorded spikes."""
    test = next(iter(fits.values()))[0]._sampled(test)
    k = int(np.argmax([len(times) for times in test.spikes]))
    begin = max(float(test.spikes[k][0]) - 100.0, 0.0) if len(test.spikes[k]) else 0.0
    rows = slice(round(begin / test.dt), round((begin + window) / test.dt))
    time = np.arange(len(test.voltage))[rows] * test.dt
    figure, axes = _figure(3.4)
    axes.plot(time, test.voltage[rows, k], color="0.6", lw=0.8, label="recorded")
    top = -np.inf
    for (name, (fit, _)), colour in list(zip(fits.items(), COLOURS, strict=False))[::-1]:
        predicted = fit.predict(test)[0][rows, k]
        axes.plot(time, predicted, color=colour, lw=0.8, label=name)
        top = max(top, float(predicted.max()))
    axes.set(xlabel="time [ms]", ylabel="potential [mV]", xlim=(time[0], time[-1]))
    axes.set_ylim(top=top + 5.0)  # Spikes leave the picture, or nothing else could be seen.
    figure.legend(loc="outside upper left", frameon=False, ncols=3)
    return figure


def raster(fits: Fits, test: Recording) -> Any:
    """Recorded spikes of each sweep, and those that each fitted neuron predicts by itself."""
    n, groups = test.sweeps, [("recorded", "0.4", [*test.spikes])]
    for (name, (fit, _)), colour in zip(fits.items(), COLOURS, strict=False):
        groups.append((name, colour, fit.simulate(test)))
    figure, axes = _figure(1.2 + 0.12 * len(groups) * n)
    for i, (_, colour, spikes) in enumerate(groups):
        rows = [(n + 0.5) * i + k for k in range(n)]
        axes.eventplot(spikes[::-1], colors=colour, lineoffsets=rows, linelengths=0.8)
    axes.set(xlabel="time [ms]", xlim=(0, test.duration))
    middles = [(n + 0.5) * i + (n - 1) / 2 for i in range(len(groups))]
    axes.set_yticks(middles, [name for name, *_ in groups])
    return figure


def flows(fits: Fits) -> Any:
    """`F(u)` of each fitted neuron, from well below its rest to above the threshold."""
    models = [fit.model for fit, _ in fits.values()]
    low, high = models[0].potentials[0], models[0].threshold
    v = np.linspace(low - 0.6 * (high - low), high + 0.15 * (high - low), 300)
    figure, axes = _figure(3.2)
    axes.axhline(0, color="0.8", lw=0.8)
    for (name, (fit, _)), colour in zip(fits.items(), COLOURS, strict=False):
        axes.plot(v, fit.flow(v), color=colour, label=name)
        ends = [fit.model.potentials[0], fit.model.threshold]
        axes.plot(ends, fit.flow(ends), "o", color=colour, ms=5)
    axes.set(xlabel="potential [mV]", ylabel="F [mV/ms]", xlim=(v[0], v[-1]))
    axes.plot([], [], "o", color="0.4", ms=5, label="rest and threshold")
    axes.legend(frameon=False, loc="lower left")
    return figure


def _figure(height: float) -> Any:
    figures = require("matplotlib.figure", "train")
    figure = figures.Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL)
