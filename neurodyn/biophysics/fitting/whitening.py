"""Weights of traces that overlap, learned in coordinates in which they do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from neurodyn.biophysics.fitting.model import Escape, Prepared

RIDGE = 1e-3
"""Added to the traces' correlations: directions that hardly show in the data stay as they are."""

SPIKES = 0.3
"""Root mean square of the traces of spikes that are learned."""


class _Mixed(nn.Module):
    """Weights `mix @ x` of what is learned, `x`."""

    mix: Tensor

    def __init__(self, mix: Tensor) -> None:
        super().__init__()
        self.register_buffer("mix", mix)

    def forward(self, x: Tensor) -> Tensor:
        """The weights."""
        weights: Tensor = self.mix @ x
        return weights

    def right_inverse(self, weights: Tensor) -> Tensor:
        """What is learned."""
        x: Tensor = torch.linalg.solve(self.mix, weights)
        return x


@contextmanager
def whitened(model: Escape, data: Prepared) -> Iterator[None]:
    """While within, an optimiser sees weights of traces that are as large as one another and not
    correlated. A slow trace gathers hundreds of spikes, and two time constants that are close make
    nearly the same trace: gradient descent on their own weights hardly converges."""
    traces = {"g": data.lagged, "w": data.a, "v": data.b, "electrode": data.electrode}
    traces = {name: trace for name, trace in traces.items() if trace.shape[-1]}
    sizes = {"w": SPIKES, "v": SPIKES}
    for name, trace in traces.items():
        size = sizes.get(name) or float(data.current.square().mean().sqrt())
        mix = size * _mix(trace, data.live)
        parametrize.register_parametrization(model, name, _Mixed(mix))
    try:
        yield
    finally:
        for name in traces:
            parametrize.remove_parametrizations(model, name)


def _mix(trace: Tensor, live: Tensor) -> Tensor:
    """What makes uncorrelated traces of unit size, `trace @ mix`."""
    rows = trace[live > 0]
    size = rows.square().mean(0).sqrt().clamp(min=1e-12)
    rows = rows / size
    gram = rows.T @ rows / len(rows) + RIDGE * torch.eye(len(size), dtype=rows.dtype)
    values, vectors = torch.linalg.eigh(gram)
    mix: Tensor = (vectors / values.sqrt()) @ vectors.T / size[:, None]
    return mix
