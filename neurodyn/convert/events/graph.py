"""A layered network as the flat graph that the engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.convert.events.adjoint import Incoming
from neurodyn.convert.events.copies import Copies


@dataclass(frozen=True)
class Projection:
    """Synapses from one population to another; population 0 is the input lines."""

    source: int
    target: int
    weight: Tensor
    """(target origins, source origins)"""
    delay: Tensor | None


@dataclass(frozen=True)
class Flat:
    """The graph: arrays by neuron, by origin and by synapse (see `arrays.Graph`)."""

    layer: Any
    """Each neuron's layer, from 0."""
    within: Any
    """Its origin within the layer."""
    origin: Any
    """Its origin among all, input lines first."""
    level: Any
    sign: Any
    once: Any
    sentinel: Any
    probe: Any
    first: Any
    start: Any
    target: Any
    weight: Tensor
    delay: Tensor
    incoming: Incoming

    def name(self, neuron: int) -> str:
        """A neuron in words."""
        return f"layer {int(self.layer[neuron]) + 1}, neuron {int(self.within[neuron])}"


def flatten(
    populations: Sequence[Copies],
    projections: Sequence[Projection],
    *,
    once: bool,
    bounds: Sequence[Any] | None = None,
    probes: bool = False,
    keep_zeros: bool = False,
) -> Flat:
    """Lay neurons and synapses out.

    Args:
        populations: the input lines and the layers.
        projections: the synapses between origins.
        once: neurons fire at most once.
        bounds: the highest level that each layer's origins may reach. A sentinel one level above
            it, which acts on nothing, sees that they keep to it.
        probes: each origin gets a neuron that fires at every level and acts on nothing.
        keep_zeros: synapses of weight 0 count, because they may be learned.
    """
    offset = np.cumsum([0, *(copies.origins for copies in populations)])
    rows = []
    for k, copies in enumerate(populations[1:]):
        # The columns: layer, origin in it, level, sign, once, sentinel, probe.
        row = [_row(k, copies.origin, copies.level, copies.sign, once, 0, 0)]
        every = np.arange(copies.origins)
        if bounds is not None:
            row.append(_row(k, every, bounds[k] + 1, 0, 1, 1, 0))
        if probes:
            row.append(_row(k, every, 1, 0, 0, 0, 1))
        together = np.concatenate(row, 1)
        # A stable order puts them behind the copies of their origin.
        rows.append(together[:, np.argsort(together[1], kind="stable")])
    layer, within, level, sign, fires_once, sentinel, probe = np.concatenate(rows, 1)
    origin = within + offset[1:-1][layer]
    source, target, weight, delay = _synapses(projections, offset, layer, within, keep_zeros)
    by_target = np.argsort(target, kind="stable")
    return Flat(
        layer=layer,
        within=within,
        origin=origin,
        level=level,
        sign=sign,
        once=fires_once.astype(bool),
        sentinel=sentinel.astype(bool),
        probe=probe.astype(bool),
        first=_starts(origin, offset[-1]),
        start=_starts(source, offset[-1]),
        target=target,
        weight=weight,
        delay=delay,
        incoming=Incoming(_starts(target, len(layer)), by_target, source),
    )


def _row(layer: int, origin: Any, *columns: Any) -> Any:
    return np.stack([np.zeros_like(origin) + c for c in (layer, origin, *columns)])


def _synapses(
    projections: Sequence[Projection], offset: Any, layer: Any, within: Any, keep_zeros: bool
) -> tuple[Any, Any, Tensor, Tensor]:
    """The source origin, target neuron, weight and delay of each synapse, by origin and delay."""
    sources, targets, weights, delays = [], [], [], []
    for p in projections:
        nodes = np.nonzero(layer == p.target - 1)[0]
        plain = p.weight.detach().numpy().T[:, within[nodes]]  # (source origins, neurons)
        kept = np.ones_like(plain, bool) if keep_zeros else plain != 0
        source, which = np.nonzero(kept)
        sources.append(source + offset[p.source])
        targets.append(nodes[which])
        place = torch.from_numpy(within[nodes[which]] * p.weight.shape[1] + source)
        weights.append(p.weight.flatten()[place])
        none = torch.zeros(len(place), dtype=torch.float64)
        delays.append(none if p.delay is None else p.delay.flatten()[place])
    source, target = np.concatenate(sources), np.concatenate(targets)
    weight, delay = torch.cat(weights), torch.cat(delays)
    order = np.lexsort((delay.detach().numpy(), source))
    by_order = torch.from_numpy(order)
    return source[order], target[order], weight[by_order], delay[by_order]


def _starts(groups: Any, count: int) -> Any:
    """Where each group starts in a sorted list, and at last the list's length."""
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))])
