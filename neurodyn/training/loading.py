"""Load a trained model from the folder of its run, without the files of its data set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule as DataModule
from torch import nn

from neurodyn.data import SampleData
from neurodyn.data.adapted import AdaptedModule, adapted
from neurodyn.training.allowed import allow, only_allowed
from neurodyn.training.learner import Learner
from neurodyn.training.links import link_data
from neurodyn.training.parser import RecipeParser, plain
from neurodyn.training.place import CONFIG, Place, find_run
from neurodyn.training.trained import Trained
from neurodyn.training.weights import Saved, fill, read_saved

FOR_TRAINING = ("optim", "regularisers", "compile")
"""Settings of a model that only its training needs."""


def load(
    run: str | Path,
    *,
    imports: str | Sequence[str] = (),
    checkpoint: str = "best",
    device: str | torch.device = "cpu",
    data: Mapping[str, Any] | None = None,
) -> Trained:
    """A trained model, from the folder of its run. No file of its data set is read.

    A run folder from elsewhere runs no code: the rule for recipes holds for the class paths in its
    `config.yaml`, and weights are tensors and nothing else.

    Args:
        run: the folder of a run of a comparison (`runs/digits/lnm/seed-0`), of a training
            (`runs/fit/version_0`), or of a model card; or a checkpoint in one of them.
        imports: a module of yours whose classes the run may name, or several.
        checkpoint: "best", "last", or the name of another checkpoint in the folder.
        device: where the model runs.
        data: options of the data set that are different here, such as `{"root": "~/data"}`.
    """
    for module in [imports] if isinstance(imports, str) else imports:
        allow(module)
    place = find_run(run, checkpoint)
    config, saved = place.config(), read_saved(place)
    learner, made = _built(place, config, saved, data or {})
    parts = nn.ModuleDict({"network": learner.network, "readout": learner.task.readout})
    fill(parts, saved.weights, place.weights)
    return Trained(place, config, made, learner, saved).to(device)


def _built(
    place: Place, config: dict[str, Any], saved: Saved, other: Mapping[str, Any]
) -> tuple[Learner, SampleData | AdaptedModule]:
    """The learner and the data set of a run's settings; an error names their file.

    Args:
        place: where they are from.
        config: the settings.
        saved: has the state of the data set.
        other: options of the data set that replace those in the settings.
    """

    def restored(cls: type[DataModule], *args: Any, **options: Any) -> DataModule:
        made = cls(*args, **options)
        data = adapted(made)
        name = type(data).__qualname__
        if name in saved.data:
            data.load_state_dict(saved.data[name])
        return made

    if "class_path" in config["model"]:
        raise ValueError(
            f"{place.folder / CONFIG}: expected the run of a network of neurons, got one of "
            f"{config['model']['class_path']}"
        )
    data = {**config["data"], "init_args": {**config["data"].get("init_args", {}), **other}}
    model = {key: value for key, value in config["model"].items() if key not in FOR_TRAINING}
    parser = RecipeParser(prog="neurodyn")
    parser.add_lightning_class_args(DataModule, "data", subclass_mode=True)
    parser.add_lightning_class_args(Learner, "model")
    link_data(parser)
    try:
        # What a network's weights start from is replaced, and must not cost the caller's numbers.
        with only_allowed(), torch.random.fork_rng(devices=[]):
            settings = parser.parse_object({"data": data, "model": model})
            made = parser.instantiate(settings, instantiators=[(restored, DataModule, True)])
    except ValueError as error:
        text = plain(str(error))
        module = re.search(r"--import ([\w.]+)$", text)
        python = f' (in Python, neurodyn.load takes imports="{module[1]}")' if module else ""
        raise ValueError(f"{place.folder / CONFIG}: {text}{python}") from error
    return made.model, adapted(made.data)
