"""Fitted cells as files of numbers."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch

from neurodyn import neurons
from neurodyn.biophysics.fitting.model import Escape, learning
from neurodyn.errors import unknown
from neurodyn.files import read_json, write

FORMAT = "neurodyn fitted cell 3"


def write_cell(model: Escape, options: dict[str, Any], barrier: float, path: Path) -> Path:
    """See `Fitted.save`."""
    neuron = model.neuron
    plain = {
        name: value
        for name, value in vars(neuron).items()
        if name in inspect.signature(type(neuron).__init__).parameters
        and isinstance(value, str | int | float | bool)
    }
    plain = {name: value for name, value in plain.items() if name != "start"}
    content = {
        "format": FORMAT,
        "neuron": type(neuron).__name__,
        "neuron_options": plain,
        "dt_ms": model.dt,
        "refractory_ms": model.refractory,
        "currents_ms": model.currents,
        "thresholds_ms": model.thresholds,
        "lags_ms": model.lags,
        "barrier": barrier,
        "options": options,
        "parameters": {name: value.tolist() for name, value in model.state_dict().items()},
    }
    return write(path, json.dumps(content, indent=1) + "\n")


def read_cell(path: Path) -> tuple[Escape, dict[str, Any], float]:
    """See `Fitted.load`."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a file that Fitted.save wrote")
    known = {
        name: kind
        for name, kind in vars(neurons).items()
        if inspect.isclass(kind) and issubclass(kind, neurons.Neuron)
    }
    if content.get("neuron") not in known:
        raise unknown(f"{path}: neuron", content.get("neuron"), known)
    try:
        return _made(content, known[content["neuron"]])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: expected a whole fitted cell, got {error}") from error


def _made(content: dict[str, Any], kind: Any) -> tuple[Escape, dict[str, Any], float]:
    model = Escape(
        learning(kind(**content["neuron_options"])),
        content["dt_ms"],
        currents=content["currents_ms"],
        thresholds=content["thresholds_ms"],
        lags=content["lags_ms"],
        refractory=content["refractory_ms"],
    )
    found = {n: torch.tensor(v, dtype=torch.float64) for n, v in content["parameters"].items()}
    model.load_state_dict(found)
    return model, content["options"], content["barrier"]
