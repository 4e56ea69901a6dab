"""The page of a fitted cell: one file, pictures inside, nothing from elsewhere."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.biophysics.fitting.fitted import Fitted, Score
from neurodyn.biophysics.recordings import Recording
from neurodyn.errors import require

FILES = {"cell.json", "scores.json", "index.html"}
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;"
    "background:#fff}svg{width:100%;height:auto}table{border-collapse:collapse}"
    "td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:left}pre{font-size:13px}"
)


def check_folder(folder: Path) -> None:
    """An error if a folder holds something that a fitted cell's does not."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: expected a folder, got the file {folder}")
    if folder.is_dir() and (other := {path.name for path in folder.iterdir()} - FILES):
        raise ValueError(f"out: {folder} holds something else: {', '.join(sorted(other)[:4])}")


def write_folder(fitted: Fitted, test: Recording, score: Score, folder: Path, title: str) -> Path:
    """The cell, its scores and its page, in a folder that appears whole or not at all."""
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fitted.save(aside / "cell.json")
        (aside / "scores.json").write_text(json.dumps(score._asdict(), indent=1) + "\n")
        (aside / "index.html").write_text(page(fitted, test, score, title))
        aside.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def page(fitted: Fitted, test: Recording, score: Score, title: str) -> str:
    """As HTML."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{'-' if v is None else f'{v:.3f}'}</td></tr>"
        for name, v in score._asdict().items()
    )
    shown = [
        ("Recorded and predicted voltage", voltages(fitted, test)),
        ("Spikes", raster(fitted, test)),
        ("F(u), what the membrane does without input", flows(fitted)),
    ]
    pictures = "".join(f"<h2>{name}</h2>{_svg(figure)}" for name, figure in shown)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><pre>{html.escape(repr(fitted))}\n\n"
        f"{html.escape(repr(test))}</pre><p>Scores on the part that was not fitted.</p>"
        f"<table>{rows}</table>{pictures}</html>\n"
    )


def voltages(fitted: Fitted, test: Recording, window: float = 1000.0) -> Any:
    """The first second with spikes: recorded, and predicted with the recorded spikes."""
    test = fitted._sampled(test)
    k = int(np.argmax([len(times) for times in test.spikes]))
    begin = max(float(test.spikes[k][0]) - 100.0, 0.0) if len(test.spikes[k]) else 0.0
    rows = slice(round(begin / test.dt), round((begin + window) / test.dt))
    time = np.arange(len(test.voltage))[rows] * test.dt
    figure, axes = _figure(3.0)
    axes.plot(time, test.voltage[rows, k], color="0.6", lw=0.8, label="recorded")
    axes.plot(time, fitted.predict(test)[0][rows, k], color="C0", lw=0.8, label="predicted")
    axes.set(xlabel="time [ms]", ylabel="potential [mV]", xlim=(time[0], time[-1]))
    axes.legend(loc="upper right", frameon=False, ncols=2)
    return figure


def raster(fitted: Fitted, test: Recording) -> Any:
    """Recorded spikes of each sweep, and those that the cell predicts by itself."""
    figure, axes = _figure(1.2 + 0.12 * 2 * test.sweeps)
    predicted = fitted.simulate(test)
    axes.eventplot(test.spikes[::-1], colors="0.4", lineoffsets=range(test.sweeps))
    above = [test.sweeps + 0.5 + k for k in range(test.sweeps)]
    axes.eventplot(predicted[::-1], colors="C0", lineoffsets=above)
    axes.set(xlabel="time [ms]", xlim=(0, test.duration))
    axes.set_yticks([(test.sweeps - 1) / 2, test.sweeps * 1.5], ["recorded", "predicted"])
    return figure


def flows(fitted: Fitted) -> Any:
    """`F(u)` beside the leak of LIF, which has its slope at rest."""
    model = fitted.model
    rest = model.potentials[0]
    reach = model.threshold - rest
    v = np.linspace(rest - 0.6 * reach, rest + 1.15 * reach, 300)
    slope = (fitted.flow([rest + 0.01])[0] - fitted.flow([rest - 0.01])[0]) / 0.02
    figure, axes = _figure(3.2)
    axes.axhline(0, color="0.8", lw=0.8)
    axes.plot(v, slope * (v - rest), color="0.6", label="LIF with the same leak at rest")
    axes.plot(v, fitted.flow(v), color="C0", label=f"fitted {type(model.neuron).__name__}")
    for at, name in ((rest, "rest"), (model.threshold, "threshold")):
        axes.axvline(at, color="0.8", lw=0.8, ls=":")
        axes.annotate(name, (at, axes.get_ylim()[1]), fontsize=8, ha="center", va="bottom")
    axes.set(xlabel="potential [mV]", ylabel="F [mV/ms]")
    axes.legend(frameon=False)
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
