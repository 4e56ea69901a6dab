"""What a run keeps of files that options of its neurons name: in its settings stands their content.

So it is loaded, converted and continued without the files, and another content of a file changes no
run. Which options name files, their neuron says (`SpikingLayer.files`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from neurodyn.files import FROM
from neurodyn.training.names import neuron_at
from neurodyn.training.place import CONFIG, Place


def keep_files(model: Any, earlier: Path | None = None) -> None:
    """Replace the names of files, in the parsed settings of a model, by what the files hold.

    Args:
        model: changed in place.
        earlier: folder of a run that goes on, or that others go on beside. What it kept of a file
            of the same name holds. A run of an earlier version names the file alone, and stays so.
    """
    for keys, options, files in [*_naming(model, ("model",))]:
        for name, read in files.items():
            given = options.get(name)
            if given is not None and not isinstance(given, dict):
                was = _saved(earlier, (*keys, name)) if earlier else None
                options[name] = _kept(given, was, read, earlier)


def _kept(given: Any, was: Any, read: Any, earlier: Path | None) -> Any:
    if was == given:
        return given
    if not (isinstance(was, dict) and was.get(FROM) == given):
        return {FROM: given, **read(given)}
    try:
        changed = {FROM: given, **read(given)} != was
    except (OSError, ValueError):
        changed = False
    if changed:
        warnings.warn(
            f"{given} has another content than when the run in {earlier} began, which goes on "
            "with its own. For the new one, choose another folder for the run",
            stacklevel=2,
        )
    return was


def _naming(settings: Any, keys: tuple[str, ...]) -> Iterator[tuple[Any, Namespace, Any]]:
    """The options of neurons that can name files: their keys, the options, and what reads each."""
    if not isinstance(settings, Namespace):
        return
    for name, value in vars(settings).items():
        yield from _naming(value, (*keys, name))
    cls = neuron_at(str(settings.get("class_path", "")))
    files = getattr(cls, "files", None)
    if files and "init_args" in settings:
        yield (*keys, "init_args"), settings["init_args"], files


def _saved(folder: Path, keys: tuple[str, ...]) -> Any:
    """A setting of a run."""
    found: Any = Place(folder, folder / CONFIG).config()
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found
