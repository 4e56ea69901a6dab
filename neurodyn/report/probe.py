"""What a trained network does with a few samples of its test set: answers, spikes, membranes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neurodyn.analysis.pictures import layer_names
from neurodyn.analysis.recording import record
from neurodyn.analysis.sampling import evenly
from neurodyn.training.loading import load
from neurodyn.training.predictions import Predictions
from neurodyn.training.trained import Trained

FIRST = 64
"""The test samples from which those to show are taken."""

SAMPLES, LAYERS, STEPS = 6, 12, 3000
"""Samples, layers and steps that are shown, at most."""

DRAWN, TRACES = 64, 3
"""Neurons of a layer whose spikes, and whose membranes, are shown."""


@dataclass
class Layer:
    """One layer's activity for the samples.

    Attributes:
        title: such as "layer 1, 64 neurons".
        spikes: of some neurons, evenly spaced, `(T, samples, neurons)`.
        neurons: which of the layer's neurons have a trace, the most active first.
        traces: their membranes before spike and reset, `(T, samples, traces)`.
        thresholds: of those neurons; None where a layer has none.
        rate: spikes per neuron and step.
    """

    title: str
    spikes: Tensor
    neurons: list[int]
    traces: Tensor
    thresholds: list[float] | None
    rate: float


@dataclass
class Probe:
    """A network's course over some samples.

    Attributes:
        x: the samples as the network gets them, `(T, samples, *shape)`.
        has_time: whether samples have time of their own; what has none is shown at every step.
        rows: their places in the test set.
        wanted: their targets, sample first.
        lengths: the steps of each.
        signal: the signal behind each sample, `(T, curves)`, if the data set can tell it.
        answers: of the network.
        layers: what its layers did.
    """

    x: Tensor
    has_time: bool
    rows: list[int]
    wanted: Tensor
    lengths: list[int]
    signal: list[Tensor] | None
    answers: Predictions
    layers: list[Layer]


def probe(home: Path, data: Mapping[str, Any] | None = None) -> Probe:
    """Run the best checkpoint of a run on a few samples of the test set. Nothing is downloaded.

    Args:
        home: the folder of the run.
        data: options of the data set that are different here.
    """
    run = load(home, data=data)
    options = run.config["data"].get("init_args") or {}
    if options.get("download"):
        run = load(home, data={**(data or {}), "download": False})
    x, wanted, lengths = next(iter(run.test_batches(batch_size=FIRST, limit=FIRST)))
    wanted = wanted.transpose(0, 1) if run.targets.per_step else wanted
    rows = _chosen(run, wanted)
    x, wanted = x[:, rows], wanted[rows]
    lengths = None if lengths is None else lengths[rows]
    answers = run.answer(run.scores(x, lengths), None if lengths is None else lengths.cpu())
    steps = [x.shape[0]] * len(rows) if lengths is None else lengths.tolist()
    signal = getattr(run.data, "signal", None)
    return Probe(
        x[:STEPS].cpu(),
        run.has_time,
        rows,
        wanted.cpu(),
        [min(one, STEPS) for one in steps],
        [signal(x[:STEPS, i].cpu()) for i in range(len(rows))] if signal else None,
        answers,
        _layers(run, x),
    )


def _chosen(run: Trained, wanted: Tensor) -> list[int]:
    """The first sample of each class, or the first ones."""
    if run.targets.kind != "classes" or wanted.ndim != 1:
        return list(range(min(SAMPLES, len(wanted))))
    first: dict[int, int] = {}
    for row, label in enumerate(wanted.tolist()):
        first.setdefault(label, row)
    others = [row for row in range(len(wanted)) if row not in first.values()]
    return sorted([*first.values(), *others][:SAMPLES])


def _layers(run: Trained, x: Tensor) -> list[Layer]:
    courses = record(run.network, x)
    modules = dict(run.network.named_modules())
    layers = []
    names = zip(layer_names(courses), courses.items(), strict=True)
    for name, (path, course) in list(names)[:LAYERS]:
        spikes = course["spikes"][:STEPS].flatten(2).cpu()
        states = [value for key, value in course.items() if key not in ("spikes", "h")]
        membrane = course.get("h", states[0] if states else course["spikes"])
        shape = membrane.shape[2:]
        membrane = membrane[:STEPS].flatten(2).cpu()
        order = spikes.abs().sum((0, 1)).argsort(descending=True, stable=True)
        neurons = order[evenly(len(order), TRACES)].tolist()
        layers.append(
            Layer(
                f"{name}, {spikes.shape[2]:,} neurons",
                spikes[:, :, evenly(spikes.shape[2], DRAWN)],
                neurons,
                membrane[:, :, neurons].float(),
                _thresholds(modules.get(path.partition("#")[0]), shape, neurons),
                spikes.abs().float().mean().item(),
            )
        )
    return layers


def _thresholds(module: Any, shape: torch.Size, neurons: list[int]) -> list[float] | None:
    threshold = getattr(module, "threshold", None)
    if not isinstance(threshold, Tensor):
        return None
    found: list[float] = threshold.detach().float().cpu().expand(shape).flatten()[neurons].tolist()
    return found
