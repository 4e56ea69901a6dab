"""Trained surrogates and their data, from the files of a run; no code in them is run."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch
import yaml

from neurodyn.biophysics.noble.data import FamilyData
from neurodyn.biophysics.noble.surrogate import Surrogate
from neurodyn.training.allowed import only_allowed
from neurodyn.training.parser import RecipeError, RecipeParser, plain


def load(path: str | Path) -> Surrogate:
    """The surrogate in a checkpoint of `neurodyn fit`; running no code from it.

    Raises:
        ValueError: the checkpoint is not one of a surrogate.
    """
    kept = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(kept, dict) or "surrogate" not in kept:
        raise ValueError(f"{path}: expected the checkpoint of a surrogate, trained by Noble")
    surrogate = Surrogate(**kept["surrogate"])
    weights = {
        name.removeprefix("network."): value
        for name, value in kept["state_dict"].items()
        if name.startswith("network.")
    }
    surrogate.load_state_dict(weights)
    return surrogate.eval()


def load_run(folder: str | Path) -> tuple[Surrogate, FamilyData]:
    """The best surrogate of a run of `neurodyn fit`, and the data that it was trained on.

    Args:
        folder: of the run, with `config.yaml`.
    """
    config = Path(folder) / "config.yaml"
    parser = RecipeParser(prog="neurodyn")
    parser.add_lightning_class_args(L.LightningDataModule, "data", subclass_mode=True)
    try:
        with only_allowed():
            given = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]
            data = parser.instantiate(parser.parse_object({"data": given})).data
    except (RecipeError, LookupError, TypeError, yaml.YAMLError) as error:
        raise ValueError(f"{config}: {plain(str(error))}") from error
    if not isinstance(data, FamilyData):
        raise ValueError(f"{config}: expected FamilyData, got {type(data).__name__}")
    return load(Path(folder) / "checkpoints" / "best.ckpt"), data
