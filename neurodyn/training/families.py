"""How each layer's dynamics change over training."""

from __future__ import annotations

import copy
from typing import Any

import lightning as L
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neurodyn.analysis.dynamics import family
from neurodyn.neurons import neurons_of

FAMILIES = {
    "LIF-like": "#8a8a8a",
    "non-linear leak": "#1f6fb4",
    "QIF-like": "#2a9d5c",
    "bistable": "#e0a030",
    "self-exciting": "#c0392b",
    "other": "#7d5ba6",
}

History = dict[str, list[dict[str, Any]]]
"""For each layer, by epoch: `{"family": ..., "parameters": {name: mean}}`."""


class Families(L.Callback):
    """Keeps the dynamics' family and parameters of each layer, at the start and after every epoch.

    Of layers with one set of parameters; those of channels and neurons have no single family. The
    history goes into checkpoints.
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
            if neuron.per == "layer":
                at_hand = copy.deepcopy(neuron).cpu()
                values = {n: p.mean().item() for n, p in at_hand.named_parameters()}
                entry = {"family": family(at_hand), "parameters": values}
                self.history.setdefault(name.removeprefix("network."), []).append(entry)


def plot_families(history: History, *, title: str = "") -> Figure:
    """A row a layer, a column an epoch, coloured by the dynamics' family."""
    if not history:
        raise ValueError("history: expected at least one layer, got none")
    names = list(FAMILIES)
    cells = [[names.index(entry["family"]) for entry in row] for row in history.values()]
    figure = Figure(figsize=(6.4, 1.4 + 0.25 * len(cells)), layout="constrained")
    axis = figure.subplots()
    colours = ListedColormap(list(FAMILIES.values()))
    axis.imshow(cells, cmap=colours, vmin=0, vmax=len(names) - 1, aspect="auto")
    axis.set_yticks(range(len(history)), list(history), fontsize=7)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    seen = sorted({value for row in cells for value in row})
    handles = [axis.scatter([], [], marker="s", color=colours(i), label=names[i]) for i in seen]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=3, fontsize=8, frameon=False, title=title
    )
    return figure
