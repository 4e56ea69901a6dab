"""How the dynamics of each layer's neurons change over training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neurodyn.analysis.dynamics import families
from neurodyn.analysis.pictures import layer_names
from neurodyn.neurons import neurons_of

FAMILIES = {
    "LIF-like": "#b4b4b4",
    "non-linear leak": "#1f6fb4",
    "QIF-like": "#2a9d5c",
    "mirrored QIF": "#9ad0a8",
    "bistable": "#e0a030",
    "two critical": "#f2d8a0",
    "self-exciting": "#c0392b",
    "oscillating": "#c2559d",
    "other": "#7d5ba6",
}

Shares = dict[str, float]
"""The share of a layer's neurons in each family of dynamics."""

History = dict[str, list[dict[str, Any]]]
"""For each layer and epoch `{"families": Shares, "parameters": {name: mean}}`."""


class Families(L.Callback):
    """Notes the families of dynamics and the mean parameters of each layer.

    It does so at the start and after every epoch. A layer with one set of parameters lies in one
    family as a whole. The history is stored in checkpoints.
    """

    def __init__(self) -> None:
        self.history: History = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.history:
            self._note(pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._note(pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]

    def _note(self, module: L.LightningModule) -> None:
        for name, neuron in neurons_of(module):
            found = families(neuron)
            entry = {
                "families": {kind: n / len(found) for kind, n in Counter(found).items()},
                "parameters": {n: p.mean().item() for n, p in neuron.named_parameters()},
            }
            self.history.setdefault(name.removeprefix("network."), []).append(entry)


def mean_shares(histories: list[History]) -> dict[str, list[Shares]]:
    """For each layer and epoch the shares of the families, averaged over runs."""
    return {
        layer: [
            {
                kind: sum(entry["families"].get(kind, 0.0) for entry in epoch) / len(epoch)
                for kind in FAMILIES
                if any(kind in entry["families"] for entry in epoch)
            }
            for epoch in zip(*(history[layer] for history in histories), strict=False)
        ]
        for layer in histories[0]
    }


def changes(shares: Mapping[str, list[Shares]]) -> bool:
    """Whether the shares of any layer differ from those before training."""
    return any(rows[0] != row for rows in shares.values() for row in rows)


def plot_families(history: History, *, title: str = "") -> Figure:
    """The shares of the families in each layer over the epochs of one run, as stacked areas."""
    if not history:
        raise ValueError("history: expected at least one layer, got none")
    return plot_shares({title: mean_shares([history])})


def plot_shares(contenders: Mapping[str, Mapping[str, list[Shares]]]) -> Figure:
    """The shares of the families over epochs, with a column per contender and a panel per layer."""
    layers = max(len(shares) for shares in contenders.values())
    mixed = any(
        max(row.values()) < 1 for s in contenders.values() for rows in s.values() for row in rows
    )
    panel, width = 1.3 if mixed and layers < 9 else 0.35, max(3.2 * len(contenders), 6.4)
    figure = Figure(figsize=(width, 1.4 + panel * layers), layout="constrained")
    axes = figure.subplots(layers, len(contenders), squeeze=False, sharex=True, sharey=True)
    seen: dict[str, Any] = {}
    for column, (contender, shares) in zip(axes.T, contenders.items(), strict=True):
        column[0].set_title(contender, fontsize=11)
        column[len(shares) - 1].set_xlabel("epoch")
        for axis in column[len(shares) :]:
            axis.set_visible(False)
        for axis, name, rows in zip(column, layer_names(shares), shares.values(), strict=False):
            seen |= _draw_shares(axis, rows)
            axis.set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    handles = [seen[kind] for kind in FAMILIES if kind in seen]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def _draw_shares(axis: Any, rows: list[Shares]) -> dict[str, Any]:
    """Draw one layer; return a handle for each family that any of its neurons was in."""
    kinds = [kind for kind in FAMILIES if any(row.get(kind) for row in rows)]
    values = torch.tensor([[row.get(kind, 0.0) for row in rows] for kind in kinds])
    epochs = range(len(rows))
    colours = [FAMILIES[kind] for kind in kinds]
    # As steps: nothing is known between two epochs.
    areas = axis.stackplot(epochs, values, labels=kinds, colors=colours, step="mid", lw=0)
    axis.set(xlim=(0, len(rows) - 1), ylim=(0, 1))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_yticks([0, 1], ["0", "100 %"], fontsize=8)
    return dict(zip(kinds, areas, strict=True))
