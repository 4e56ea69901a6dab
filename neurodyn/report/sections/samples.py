"""Samples of the test set: input, answer, spikes and membranes. The script draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.analysis.pictures import short_name
from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.report.context import Context, chooser, note
from neurodyn.report.html import Markup, el
from neurodyn.report.packing import bits, octets
from neurodyn.report.probe import SAMPLES, Layer, Probe

NOTHING = 255
"""An octet that stands for a step without a label."""

CURVES = 8
"""Features of an input up to which each is drawn as a curve."""


def show(context: Context) -> Markup:
    """The controls, and a place that the script fills."""
    probes = context.probes()
    missing = [note(f"{short_name(name)}: {why}") for name, why in context.unprobed.items()]
    if not probes:
        nothing = note("No network could be run on samples of its test set.")
        return el("div", nothing, *missing)
    names = [short_name(name) for name in probes]
    count = max(1, round(SAMPLES * context.share))
    runs = [_run(one, count) for one in probes.values()]
    context.data["samples"] = runs
    first = context.favourite(probes)
    best = list(probes.values())[first]
    targets = best.answers.targets
    context.data["classes"] = [targets.name(k) for k in range(targets.outputs)]
    layers = ["all layers", *(layer.title for layer in best.layers)]
    controls = el(
        "div",
        chooser("sample-run", "contender", names, first),
        chooser("sample", "sample", runs[first]["labels"]),
        chooser("sample-layer", "layer", layers),
        class_="controls",
    )
    place = el("div", id="sample-view", aria_live="polite")
    words = (
        "Spikes: a row per neuron, a mark per spike. Membranes: before spike and reset, of the "
        "most active neuron, one between and the least active one. The dotted line is the "
        "threshold."
    )
    return el("div", controls, place, note(words), *missing, context.left_out())


def _run(probe: Probe, count: int) -> dict[str, Any]:
    """What the script gets of one contender."""
    rows = range(min(count, len(probe.rows)))
    return {
        "labels": [_label(probe, i) for i in rows],
        "answers": [_answer(probe, i) for i in rows],
        "steps": [probe.lengths[i] for i in rows],
        "inputs": [_input(probe, i) for i in rows],
        "strips": [_strip(probe, i) for i in rows] if probe.answers.targets.per_step else None,
        "layers": [_layer(probe, layer, len(rows)) for layer in probe.layers],
    }


def _layer(probe: Probe, layer: Layer, count: int) -> dict[str, Any]:
    return {
        "title": layer.title,
        "rate": f"{layer.rate:.3f} spikes per neuron and step",
        "rows": layer.spikes.shape[2],
        "spikes": [bits(layer.spikes[: probe.lengths[i], i].float().numpy()) for i in range(count)],
        "neurons": [f"neuron {number}" for number in layer.neurons],
        "traces": [
            [
                _curve(trace, None if layer.thresholds is None else layer.thresholds[k])
                for k, trace in enumerate(layer.traces[: probe.lengths[i], i].T)
            ]
            for i in range(count)
        ],
    }


def _curve(values: Tensor, mark: float | None = None) -> dict[str, Any]:
    """A curve as octets between its extremes; a mark, such as a threshold, is within them."""
    values = values.float().nan_to_num(0.0, 0.0, 0.0)
    low, high = values.min().item(), values.max().item()
    if mark is not None:
        low, high = min(low, mark), max(high, mark)
    width = (high - low) or 1.0
    return {
        "low": round(low, 4),
        "high": round(high, 4),
        "y": octets((255 * (values - low) / width).round().numpy()),
        "mark": None if mark is None else round((mark - low) / width, 4),
    }


def _input(probe: Probe, i: int) -> dict[str, Any]:
    if probe.signal:
        curves = probe.signal[i][: probe.lengths[i]].T
        return {
            "kind": "curves",
            "title": "signal, rebuilt from the input",
            "rows": [_curve(c) for c in curves],
        }
    x = probe.x[: probe.lengths[i], i].float()
    if x.ndim == 4:  # Images: one that is shown at every step, or frames of events.
        shown = x[0] if not probe.has_time else x.sum(0)
        title = "input" if not probe.has_time else "input, summed over the steps"
        return _image(shown, title)
    x = x.flatten(1)
    title = f"input, {x.shape[1]} feature{'' if x.shape[1] == 1 else 's'}"
    counts = bool((x == x.round()).all()) and x.shape[1] > 1
    if counts:
        return {"kind": "raster", "title": title, "rows": x.shape[1], "spikes": bits(x.numpy())}
    if x.shape[1] <= CURVES:
        return {"kind": "curves", "title": title, "rows": [_curve(c) for c in x.T]}
    return {**_image(x.T[None], title), "kind": "heat"}


def _image(x: Tensor, title: str) -> dict[str, Any]:
    """An image `(C, H, W)` as octets: in colour if it has three channels, otherwise their sum."""
    x = x if len(x) == 3 else x.sum(0, keepdim=True)
    low, high = x.min(), x.max()
    levels = (255 * (x - low) / (high - low).clamp(min=1e-12)).round().permute(1, 2, 0)
    height, width, channels = levels.shape
    pixels = octets(levels.numpy())
    shape = {"w": width, "h": height, "channels": channels}
    return {"kind": "image", "title": title, **shape, "p": pixels}


def _label(probe: Probe, i: int) -> str:
    targets, wanted = probe.answers.targets, probe.wanted[i]
    name = f"test sample {probe.rows[i] + 1}"
    if targets.kind == "classes" and not targets.per_step and not wanted.ndim:
        return f"{name}, class {targets.name(int(wanted))}"
    return name


def _answer(probe: Probe, i: int) -> str:
    """The answer in words, and whether it is right."""
    found, targets, wanted = probe.answers, probe.answers.targets, probe.wanted[i]
    if targets.per_step:
        return _answer_by_step(probe, i)
    if targets.kind == "classes":
        answer = int(found.answers[i])
        assert found.probabilities is not None
        sure = f"answer {targets.name(answer)} (probability {found.probabilities[i, answer]:.2f})"
        if wanted.ndim:
            return sure
        true = int(wanted)
        return f"{sure}, right" if answer == true else f"{sure}, wrong: it is {targets.name(true)}"
    told = " ".join(_told(targets, value) for value in found.answers[i].tolist())
    right = " ".join(_told(targets, value) for value in wanted.flatten().tolist())
    return f"answer {told}, true {right}"


def _told(targets: Targets, value: float) -> str:
    return f"{value:.0f}" if targets.kind == "labels" else f"{value:.4g}"


def _answer_by_step(probe: Probe, i: int) -> str:
    answers = probe.answers.answers[i]
    if probe.answers.targets.kind != "classes":
        return f"an answer at each of {probe.lengths[i]:,} steps"
    steps = probe.lengths[i]
    own = probe.wanted[i][:steps]
    known = own != UNLABELLED
    right = (answers[:steps] == own)[known].float().mean().item() if known.any() else 0.0
    return f"{100 * right:.1f} % of {int(known.sum()):,} labelled steps are right"


def _strip(probe: Probe, i: int) -> dict[str, Any]:
    """Labels and answers at every step."""
    steps, targets = probe.lengths[i], probe.answers.targets
    wanted = probe.wanted[i][:steps]
    answers = probe.answers.answers[i][:steps]
    if targets.kind == "classes":
        nothing = torch.full_like(wanted, NOTHING)
        true = torch.where(wanted == UNLABELLED, nothing, wanted)
        return {"kind": "classes", "true": octets(true.numpy()), "answer": octets(answers.numpy())}
    if targets.kind == "labels":
        rows = {"rows": targets.outputs}
        return {
            "kind": "labels",
            **rows,
            "true": bits(wanted.nan_to_num().numpy()),
            "answer": bits(answers.nan_to_num().numpy()),
        }
    both = torch.stack([wanted, answers.to(wanted.dtype)])
    scaled = [_scaled(both[..., k]) for k in range(min(targets.outputs, 4))]
    return {"kind": "values", "rows": scaled}


def _scaled(both: Tensor) -> dict[str, Any]:
    """A value's true course and the answers on one scale."""
    finite = both[both.isfinite()]
    low, high = (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 1.0)
    levels = 255 * (both.nan_to_num(low) - low) / ((high - low) or 1.0)
    true, answer = (octets(np.asarray(one.round())) for one in levels)
    return {"low": round(low, 4), "high": round(high, 4), "true": true, "answer": answer}
