"""The course of learning: what each layer's neurons do without input, at every epoch of a run.

A run keeps it in `dynamics.npz`, which is rewritten after every epoch. So a run that was killed or
diverged has its course up to then, and a resumed one goes on with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neurodyn.analysis.dynamics import membrane_map
from neurodyn.analysis.modes import eigenvalues
from neurodyn.analysis.pictures import layers_of
from neurodyn.analysis.sampling import evenly
from neurodyn.files import written_aside
from neurodyn.neurons import Neuron, neurons_of

COURSE = "dynamics.npz"
"""The file in the folder of a run."""

BOUNDS = (-2.0, 1.6)
"""Potentials between which maps are kept."""

POINTS, MAPS, MODES = 46, 16, 48
"""Points of a map; neurons of a layer whose map, and whose modes, are kept, evenly spaced."""

EPOCHS, LAYERS = 32, 24
"""Epochs and layers that are kept, at most. Of more epochs every second, fourth, ... is."""

LIMIT = 2**26
"""Bytes that a course unpacks to, at most. Twenty-four layers of eight states take 10 MB."""

Numbers = NDArray[Any]


@dataclass
class Layer:
    """A layer at the kept epochs.

    Attributes:
        path: its name in the network.
        title: such as "layer 1, 64 neurons".
        per: granularity of its parameters.
        threshold: mean firing threshold, after the last epoch.
        frames: for each epoch the maps `F(u)`, `(POINTS, neurons)`, if the neurons have one state;
            or the eigenvalues, complex `(neurons, states)`, if they have several.
    """

    path: str
    title: str
    per: str
    threshold: float = 1.0
    frames: list[Numbers] = field(default_factory=list)

    @property
    def has_modes(self) -> bool:
        """Whether eigenvalues are kept, and not maps."""
        return bool(self.frames) and np.iscomplexobj(self.frames[0])


@dataclass
class Course:
    """The kept epochs, 0 before training, and the layers."""

    epochs: list[int]
    layers: list[Layer]

    @classmethod
    def of(cls, network: nn.Module, epoch: int = 0) -> Course:
        """One state of a network with neurons."""
        names = [name for name, _ in neurons_of(network)]
        layers = [
            Layer(path, title, neuron.per, _threshold(neuron), [frame(neuron)])
            for path, (title, neuron) in zip(names, layers_of(network).items(), strict=True)
        ]
        return cls([epoch], layers[:LAYERS])

    def until(self, epoch: int) -> Course:
        """The course up to an epoch."""
        kept = [place for place, at in enumerate(self.epochs) if at <= epoch]
        return self._only(kept)

    def after(self, later: Course) -> Course:
        """This course with a later state behind it, thinned out if it is long."""
        if [layer.path for layer in self.layers] != [layer.path for layer in later.layers]:
            return later
        for layer, new in zip(self.layers, later.layers, strict=True):
            layer.frames += new.frames
            layer.threshold = new.threshold
        self.epochs += later.epochs
        last = self.epochs[-1]
        stride = 1
        while last // stride >= EPOCHS:
            stride *= 2
        return self._only([i for i, at in enumerate(self.epochs) if at == last or not at % stride])

    def _only(self, places: list[int]) -> Course:
        for layer in self.layers:
            layer.frames = [layer.frames[place] for place in places]
        self.epochs = [self.epochs[place] for place in places]
        return self

    def save(self, path: Path) -> None:
        """Write the course, whole or not at all."""
        about = [[layer.path, layer.title, layer.per, layer.threshold] for layer in self.layers]
        arrays: dict[str, Any] = {
            str(i): np.stack(layer.frames) for i, layer in enumerate(self.layers)
        }
        with written_aside(path) as aside:
            np.savez_compressed(
                aside, epochs=np.array(self.epochs), layers=np.array(json.dumps(about)), **arrays
            )

    @classmethod
    def load(cls, path: Path) -> Course:
        """Read a course. The file runs no code; an error names it."""
        try:
            with ZipFile(path) as archive:
                claimed = sum(info.file_size for info in archive.infolist())
            if claimed > LIMIT:
                raise ValueError(f"a file that unpacks to {claimed:,} bytes")
            with np.load(path, allow_pickle=False) as file:
                epochs = [int(epoch) for epoch in file["epochs"]]
                about = json.loads(str(file["layers"]))
                layers = [
                    Layer(str(name), str(title), str(per), float(threshold), list(file[str(i)]))
                    for i, (name, title, per, threshold) in enumerate(about[:LAYERS])
                ]
        except OSError:
            raise
        except Exception as error:  # NumPy's reader ends in many ways.
            raise ValueError(f"{path}: expected the course of a run, got {error}") from error
        for layer in layers:
            shapes = {one.shape for one in layer.frames}
            if len(layer.frames) != len(epochs) or len(shapes) != 1 or layer.frames[0].ndim != 2:
                raise ValueError(f"{path}: expected a frame for each of {len(epochs)} epochs")
        return cls(epochs, layers)


@torch.no_grad()
def frame(neuron: Neuron) -> Numbers:
    """What is kept of a layer at one epoch: maps of neurons with one state, modes of others."""
    if len(neuron.states) > 1:
        modes = eigenvalues(neuron).flatten(0, -2)
        return modes[evenly(len(modes), MODES)].to(torch.complex64).cpu().numpy()
    u = torch.linspace(*BOUNDS, POINTS)
    maps = membrane_map(neuron, u).flatten(1)
    chosen = maps[:, evenly(maps.shape[1], MAPS).to(maps.device)]
    return chosen.clamp(-1e4, 1e4).to(torch.float16).cpu().numpy()


def _threshold(neuron: Neuron) -> float:
    return neuron.threshold.detach().float().mean().item()


class CourseKeeper(L.Callback):
    """Keeps the course of a training in a file: at the start and after every epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.course: Course | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done = trainer.current_epoch
        if done and self.path.is_file():
            try:
                self.course = Course.load(self.path).until(done)
            except ValueError:
                self.course = None  # The epochs to come are kept all the same.
        elif not done:
            self._note(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._note(trainer, pl_module, trainer.current_epoch + 1)

    def _note(self, trainer: L.Trainer, module: L.LightningModule, epoch: int) -> None:
        if not trainer.is_global_zero or not any(neurons_of(module.network)):  # type: ignore[arg-type]
            return
        now = Course.of(module.network, epoch)  # type: ignore[arg-type]
        self.course = self.course.after(now) if self.course else now
        self.course.save(self.path)
