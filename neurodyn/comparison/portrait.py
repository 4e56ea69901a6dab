"""The pictures of a run: what its neurons learned, and what they do with one sample."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import lightning as L
from torch import Tensor, nn

from neurodyn.analysis.confusion import plot_confusion
from neurodyn.analysis.pictures import plot_dynamics, save
from neurodyn.analysis.raster import plot_raster, sample_spikes
from neurodyn.analysis.spectrum import plot_modes
from neurodyn.comparison.families import History, plot_families
from neurodyn.comparison.folder import write_json
from neurodyn.neurons import neurons_of
from neurodyn.training.learner import Learner

ACTIVITY = "activity.json"
"""Spikes, operations and energy of each layer on the test set."""

PICTURES = ("dynamics.png", "families.png", "raster.png", "confusion.png")


class FirstSample(L.Callback):
    """Keeps the first sample of the test set, as the network gets it."""

    x: Tensor | None = None

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.x is None:
            x = batch[0]
            steps = int(batch[2][0]) if len(batch) > 2 else len(x)
            timed = cast(Learner, pl_module).has_time(x)
            self.x = x[:steps, :1].clone() if timed else x[:1].clone()


class Portrait:
    """Draws the pictures of a run into its folder.

    Args:
        module: before training. If neurons have several states, what they are then is kept.
        folder: of the run.
        title: of the pictures.
    """

    def __init__(self, module: Learner, folder: Path, title: str) -> None:
        self.module, self.folder, self.title = module, folder, title
        several = any(len(neuron.states) > 1 for _, neuron in neurons_of(module.network))
        self.before = copy.deepcopy(module.network) if several else None

    def draw(self, history: History, sample: Tensor | None) -> None:
        """All that applies to the network.

        Args:
            history: of the families of its neurons.
            sample: an input, as `FirstSample` keeps it.
        """
        # As it answers: after a test, Lightning leaves a module as it was in training.
        network: nn.Module = self.module.eval().network
        if self.before is not None:
            self._save(plot_modes(self.before, network, title=self.title), "dynamics")
        elif any(neurons_of(network)):
            self._save(plot_dynamics(network, title=self.title), "dynamics")
        if history:
            self._save(plot_families(history, title=self.title), "families")
        if sample is not None:
            spikes = sample_spikes(network, sample, run=self.module)
            x = sample[:, 0] if self.module.has_time(sample) else None
            if spikes:
                self._save(plot_raster(spikes, x=x, title=self.title), "raster")
        if self.module.confusion is not None:
            counts = self.module.confusion.compute().cpu()
            names = self.module.task.targets.names
            self._save(plot_confusion(counts, names, title=self.title), "confusion")
        if (activity := self.module.meter.activity).samples:
            write_json(self.folder / ACTIVITY, asdict(activity))

    def _save(self, figure: Any, name: str) -> None:
        save(figure, self.folder / f"{name}.png")
