"""The weights of a trained model, from a checkpoint or as safetensors. Neither runs code."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.errors import require
from neurodyn.files import read_json, write, written_aside
from neurodyn.training.place import NOTES, WEIGHTS, Place

PARTS = {"network.": "network.", "task.readout.": "readout."}
"""The beginnings of keys in a checkpoint that belong to the model, and what they are here."""


@dataclass
class Saved:
    """What is kept of a trained model.

    Attributes:
        weights: of network and read-out.
        data: the state of the data set, by the name of its class: what it has to know to be used
            without its files.
        epoch: the epoch of the weights, counted from 1.
        result: the measured result of a run; empty if it has none.
        val_score: the main metric on validation data in that epoch, in percent, if it is known.
    """

    weights: dict[str, Tensor]
    data: dict[str, dict[str, Any]]
    epoch: int | None = None
    result: dict[str, Any] = field(default_factory=dict)
    val_score: float | None = None


def read_saved(place: Place) -> Saved:
    """What is kept at a place; an error names the file."""
    return _from_card(place) if place.is_card else _from_checkpoint(place)


def _from_checkpoint(place: Place) -> Saved:
    path = place.weights
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        state = dict(loaded["state_dict"].items())
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"checkpoint: refused {path}, which could run code. {reason}") from error
    except OSError:
        raise
    except Exception as error:  # PyTorch's reader ends in many ways.
        raise ValueError(f"checkpoint: {path} is no checkpoint, or damaged: {error}") from error
    weights = {
        ours + key.removeprefix(theirs): value
        for key, value in state.items()
        for theirs, ours in PARTS.items()
        if key.startswith(theirs)
    }
    # Lightning keeps the state of the data under the name of its class.
    states = {
        key: value
        for key, value in loaded.items()
        if isinstance(value, dict) and {"shape", "targets"} <= value.keys()
    }
    result = place.folder / "result.json"
    best = path.stem == "best"
    return Saved(
        weights,
        states,
        epoch=loaded["epoch"] + 1 if "epoch" in loaded else None,
        result=_read_object(result) if best and result.is_file() else {},
        val_score=_best_score(loaded) if best else None,
    )


def _best_score(loaded: dict[str, Any]) -> float | None:
    """The score that Lightning's callback for the best checkpoint noted."""
    for name, state in loaded.get("callbacks", {}).items():
        score = state.get("best_model_score") if isinstance(state, dict) else None
        if name.startswith("ModelCheckpoint") and score is not None:
            return 100 * float(score)
    return None


def _from_card(place: Place) -> Saved:
    load = require("safetensors.torch", "train").load_file
    try:
        weights = load(place.weights)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{place.weights}: expected safetensors, got {error}") from error
    path = place.folder / NOTES
    if not path.is_file():
        raise FileNotFoundError(f"run: expected {NOTES} beside {place.weights}, found none")
    notes = _read_object(path)
    for name in ("data", "result"):
        if not isinstance(notes.get(name), dict):
            raise ValueError(f"{path}: expected an object as {name!r}, got {notes.get(name)!r}")
    return Saved(
        weights, notes["data"], notes.get("epoch"), notes["result"], notes.get("val_score")
    )


def write_saved(folder: Path, saved: Saved) -> None:
    """Write weights and notes into the folder of a model card."""
    save = require("safetensors.torch", "train").save_file
    # Tensors that share memory, or lie channels last, are stored each on its own.
    weights = {name: value.cpu().contiguous().clone() for name, value in saved.weights.items()}
    with written_aside(folder / WEIGHTS) as aside:
        save(weights, aside, metadata={"format": "pt"})
    notes = {
        "data": saved.data,
        "epoch": saved.epoch,
        "result": saved.result,
        "val_score": saved.val_score,
    }
    write(folder / NOTES, json.dumps(notes, indent=2) + "\n")


def fill(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load weights into a model; an error names the file and the first difference."""
    here = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in weights.items()}
    if here != there:
        name = min(name for name in {*here, *there} if here.get(name) != there.get(name))
        raise ValueError(
            f"{path}: expected weights of the model in config.yaml; {name!r} is "
            f"{there.get(name, 'missing')} there and {here.get(name, 'missing')} in the model"
        )
    model.load_state_dict(weights)


def _read_object(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected an object, got {type(found).__name__}")
    return found
