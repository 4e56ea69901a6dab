"""Spike trains: how they are given, and what a network returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Given = Tensor | Sequence[Any]


@dataclass(frozen=True)
class Trains:
    """Spike times by layer and neuron.

    `trains[layer]` is a tensor of times in ascending order, `(samples, neurons, spikes)`, or
    `(neurons, spikes)` if the inputs were one sample. Where a neuron fired less often than others,
    the rest is infinity. Times are differentiable.
    """

    layers: tuple[Tensor, ...]
    touches: int = 0
    """Spikes whose membrane only touched its level; the gradient through them is taken as zero."""

    def __getitem__(self, layer: int) -> Tensor:
        return self.layers[layer]

    def counts(self, layer: int = -1) -> Tensor:
        """Spikes of each neuron of a layer, `(samples, neurons)`."""
        return torch.isfinite(self.layers[layer]).sum(-1)

    def first(self, layer: int = -1) -> Tensor:
        """Time of each neuron's first spike, `(samples, neurons)`; infinite where there is none."""
        return first_of(self.layers[layer])

    @property
    def spikes(self) -> int:
        """Spikes of all layers and samples."""
        return sum(int(self.counts(layer).sum()) for layer in range(len(self.layers)))

    @property
    def silent(self) -> int:
        """Neurons, counted per sample, that never fired; they get a gradient of zero."""
        return sum(int((self.counts(layer) == 0).sum()) for layer in range(len(self.layers)))


def first_of(times: Tensor) -> Tensor:
    """The first time of each train; infinite where there is none. Padded, and so a function of the
    network's parameters even where no neuron fired."""
    return torch.nn.functional.pad(times, (0, 1), value=torch.inf)[..., 0]


def trimmed(times: Tensor) -> Tensor:
    """Without the places that no neuron of the layer uses."""
    most = int(torch.isfinite(times).sum(-1).max()) if times.numel() else 0
    return times[..., :most]


def most_spikes(times: Tensor) -> Any:
    """Of each train, over all samples."""
    return np.isfinite(times.detach().numpy()).sum(-1).max(0, initial=0)


def read_trains(inputs: Given, lines: int) -> tuple[Tensor, bool]:
    """Input spike times as a tensor `(samples, lines, spikes)`, and whether there was a dimension
    of samples.

    Args:
        inputs: a tensor `(samples, lines, spikes)` or `(lines, spikes)`, with infinity after a
            line's last spike; or a list of lines, or of samples that are lists of lines.
        lines: how many the network has.

    Raises:
        ValueError: another number of lines; times that are not ascending, negative, or not numbers.
    """
    if isinstance(inputs, str) or not hasattr(inputs, "__len__"):
        raise TypeError(f"inputs: expected spike times by line, got {inputs!r}")
    times = inputs if isinstance(inputs, Tensor) else _from_lists(inputs)
    batched = times.ndim == 3
    if times.ndim not in (2, 3):
        raise ValueError(
            "inputs: expected spike times (samples, lines, spikes) or (lines, spikes), "
            f"got {tuple(times.shape)}"
        )
    times = (times if batched else times[None]).to(torch.float64)
    if times.shape[1] != lines:
        raise ValueError(f"inputs: expected {lines} lines, got {times.shape[1]}")
    with torch.no_grad():
        _check(times)
    return times, batched


def _from_lists(inputs: Sequence[Any]) -> Tensor:
    depth = _depth(inputs)
    if any(not hasattr(each, "__len__") for each in inputs):
        raise ValueError("inputs: expected a list of lines, each a list of times, got numbers")
    samples = inputs if depth == 3 else [inputs]
    longest = max((len(line) for sample in samples for line in sample), default=0)
    widest = max((len(sample) for sample in samples), default=0)
    times = torch.full((len(samples), widest, longest), torch.inf, dtype=torch.float64)
    for s, sample in enumerate(samples):
        if len(sample) != widest:
            raise ValueError(f"inputs: sample {s} has {len(sample)} lines, others have {widest}")
        for k, line in enumerate(sample):
            times[s, k, : len(line)] = torch.as_tensor(line, dtype=torch.float64)
    return times if depth == 3 else times[0]


def _depth(inputs: Any) -> int:
    """How deep lists lie in each other, at the deepest."""
    if not hasattr(inputs, "__len__"):
        return 0
    return 1 + max((_depth(each) for each in inputs), default=0)


def _check(times: Tensor) -> None:
    def refuse(wrong: Tensor, what: str) -> None:
        if bool(wrong.any()):
            sample, line, place = (int(k) for k in wrong.nonzero()[0])
            got = float(times[sample, line, place])
            raise ValueError(f"inputs: sample {sample}, line {line}: {what}, got {got}")

    refuse(times.isnan(), "expected a number for every spike time")
    refuse(times < 0, "expected times from 0 on")
    earlier = torch.zeros_like(times, dtype=torch.bool)
    earlier[..., 1:] = times[..., 1:] < times[..., :-1]
    refuse(earlier, "expected ascending times")
