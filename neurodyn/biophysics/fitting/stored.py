"""Fitted cells as files of numbers."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from typing import Any

import torch

from neurodyn import neurons
from neurodyn.biophysics.fitting.model import Escape, learning
from neurodyn.errors import unknown
from neurodyn.files import FROM, read_json, write

FORMAT = "neurodyn fitted cell 3"
PLAIN = (str, int, float, bool)
WANTED = "a file of Fitted.save, or a folder of neurodyn fit-cell"


def write_cell(model: Escape, options: dict[str, Any], barrier: float, path: Path) -> Path:
    """See `Fitted.save`."""
    return write(path, json.dumps(content_of(model, options, barrier), indent=1) + "\n")


def content_of(model: Escape, options: dict[str, Any], barrier: float) -> dict[str, Any]:
    """What a file has of a fitted cell."""
    neuron = model.neuron
    plain = {
        name: value
        for name, value in vars(neuron).items()
        if name in inspect.signature(type(neuron).__init__).parameters and isinstance(value, PLAIN)
    }
    plain = {name: value for name, value in plain.items() if name != "start"}
    return {
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


def read_cell(path: Path) -> tuple[Escape, dict[str, Any], float]:
    """See `Fitted.load`."""
    return _made(_checked(read_json(path), str(path)), str(path))


def read_content(given: Any) -> dict[str, Any]:
    """What the file of a cell holds, or the one in a folder."""
    if not isinstance(given, str | Path):
        raise ValueError(f"cell: expected {WANTED}, got {given!r}")
    path = Path(given).expanduser()
    path = path / "cell.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"cell: expected {WANTED}, got {given}; there is no {path} (from {Path.cwd()})"
        )
    try:
        return _checked(read_json(path), str(path))
    except ValueError as error:
        raise ValueError(f"cell: {error}") from error


def model_of(cell: Any) -> Escape:
    """A fitted model, from its file, or from what that holds."""
    content = cell if isinstance(cell, dict) else {FROM: cell, **read_content(cell)}
    where = f"cell: {content[FROM]}" if FROM in content else "cell"
    return _made(_checked(content, where), where)[0].requires_grad_(False)


def _checked(content: Any, where: str) -> dict[str, Any]:
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        known = str(found).startswith(FORMAT.rstrip("0123456789"))
        why = f", got {found!r}, of another version; fit the cell again" if known else ""
        raise ValueError(f"{where}: expected a file that Fitted.save wrote ({FORMAT!r}){why}")
    checked: dict[str, Any] = content
    return checked


def _made(content: dict[str, Any], where: str) -> tuple[Escape, dict[str, Any], float]:
    known = {
        name: kind
        for name, kind in vars(neurons).items()
        if inspect.isclass(kind) and issubclass(kind, neurons.Neuron)
    }
    name = content.get("neuron")
    if not isinstance(name, str) or name not in known:
        raise unknown(f"{where}: neuron", name, known)
    try:
        model = Escape(
            learning(known[name](**_plain(content["neuron_options"]))),
            _times([content["dt_ms"]])[0],
            currents=_times(content["currents_ms"]),
            thresholds=_times(content["thresholds_ms"]),
            lags=_times(content["lags_ms"]),
            refractory=_times([content["refractory_ms"]], positive=False)[0],
        )
        _fill(model, content["parameters"])
        return model, dict(content["options"]), float(content["barrier"])
    except Exception as error:  # Damaged numbers end in many ways.
        got = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{where}: expected a whole fitted cell, got {got}") from error


# The errors of these say what came: `_made` puts the rest of the sentence before them.


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        if not isinstance(value, PLAIN):
            raise ValueError(f"{value!r} as the neuron's option {name}")
    return options


def _times(given: list[Any], *, positive: bool = True) -> list[float]:
    for value in given:
        number = isinstance(value, int | float) and math.isfinite(value)
        if not number or value < 0 or (positive and value == 0):
            raise ValueError(f"the time {value!r} ms")
    return given


def _fill(model: Escape, given: dict[str, Any]) -> None:
    values = {name: torch.tensor(v, dtype=torch.float64) for name, v in given.items()}
    here = model.state_dict()
    for name in sorted({*here, *values}):
        shapes = [tuple(d[name].shape) if name in d else "none" for d in (values, here)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name} of shape {shapes[0]}; the model has {shapes[1]}")
        if not values[name].isfinite().all():
            raise ValueError(f"{name} = {given[name]}")
    model.load_state_dict(values)
