"""Known and unknown speakers: each speaker is tested in turn by networks that never heard them."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neurodyn.comparison.folder import Runs, finished_runs
from neurodyn.comparison.tables import aligned, number
from neurodyn.comparison.verdict import mean_and_spread

Row = dict[str, list[dict[str, Any]]]
Turns = dict[str, Row]
"""For each contender and tested speaker the runs, one per seed."""


def conclude(folder: Path) -> tuple[str, Figure]:
    """The table and the picture of the runs in a folder whose contenders are `name/speaker`."""
    turns = turns_of(finished_runs(folder))
    if not turns:
        raise FileNotFoundError(f"folder: expected runs named contender/speaker in {folder}")
    return speaker_table(turns), plot_speakers(turns)


def turns_of(runs: Runs) -> Turns:
    """The runs by contender and tested speaker, with the same speakers for all contenders."""
    named = [(*run["neuron"].rpartition("/")[::2], run) for run in runs if "/" in run["neuron"]]
    speakers = dict.fromkeys(speaker for _, speaker, _ in named)
    turns: Turns = {name: {speaker: [] for speaker in speakers} for name, _, _ in named}
    for name, speaker, run in named:
        turns[name][speaker].append(run)
    return turns


def over_turns(row: Row) -> list[tuple[float, float]]:
    """For each seed the means over the turns: accuracy on the tested speakers, and on held-back
    recordings of those who were trained on, in the best epoch.

    A seed that lacks a turn is left out, because some speakers are easier than others.
    """
    by_seed: dict[int, list[dict[str, Any]]] = {}
    for runs in row.values():
        for run in runs:
            by_seed.setdefault(run["seed"], []).append(run)
    return [
        (
            statistics.fmean(run["score"] for run in runs),
            statistics.fmean(run["val_score"] for run in runs),
        )
        for runs in by_seed.values()
        if len(runs) == len(row)
    ]


def speaker_table(turns: Turns) -> str:
    """A row per contender: accuracy on each unknown speaker, their mean, on known ones, the gap."""
    speakers = next(iter(turns.values()))
    rows = [["neuron", *speakers, "unknown, mean", "known, mean", "gap"]]
    for name, row in turns.items():
        columns = [[run["score"] for run in runs] for runs in row.values()]
        seeds = over_turns(row)
        columns += [[unknown for unknown, _ in seeds], [known for _, known in seeds]]
        columns.append([known - unknown for unknown, known in seeds])
        rows.append([name, *(number(*mean_and_spread(c), 1) if c else "" for c in columns)])
    return aligned(rows)


def plot_speakers(turns: Turns) -> Figure:
    """A line per contender from unknown to known speakers, with a mark for each tested speaker."""
    figure = Figure(figsize=(7.2, 1.2 + 0.36 * len(turns)), layout="constrained")
    axis = figure.subplots()
    places = range(len(turns))
    means = [
        [_mean(column) for column in zip(*over_turns(row), strict=True)] or [math.nan] * 2
        for row in turns.values()
    ]
    unknown, known = zip(*means, strict=True)
    axis.hlines(places, unknown, known, color="0.7", lw=2, zorder=0)
    axis.plot(known, places, "o", mfc="white", mec="black", label="known, mean")
    axis.plot(unknown, places, "ko", label="unknown, mean")
    for i, speaker in enumerate(next(iter(turns.values()))):
        scores = [_mean([run["score"] for run in row[speaker]]) for row in turns.values()]
        axis.plot(scores, places, "^vsDPX"[i % 6], color=f"C{i}", ms=5, alpha=0.8, label=speaker)
    axis.set_yticks(places, list(turns))
    axis.invert_yaxis()
    axis.set_xlabel("accuracy [%]")
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _mean(values: list[float] | tuple[float, ...]) -> float:
    return statistics.fmean(values) if values else math.nan
