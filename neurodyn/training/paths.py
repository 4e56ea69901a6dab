"""`--data PATH`: a file or folder in the place of a class of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurodyn import data
from neurodyn.data.formats.arrays import READERS as ARRAYS
from neurodyn.data.formats.events import READERS as RECORDINGS
from neurodyn.data.formats.photographs import image_suffixes
from neurodyn.data.tree import suffixes_below

RECIPES = {"images": "images", "sequences": "sequences", "rows": "sequences"}
"""The recipe for each layout of samples."""

LOOKED_AT = ("labels", "layout", "time_first", "task")
"""Options that say what the arrays of a file are."""

CONFIGS = (".yaml", ".yml", ".json")
"""Suffixes of files that hold settings and not samples."""

EXPECTED = (
    f"a file of arrays ({', '.join(ARRAYS)}), a folder of images or of recordings by class, or a "
    "class of data"
)


def with_data_paths(args: list[str]) -> list[str]:
    """The arguments, with a path after `--data` turned into the class that reads it.

    Without `--config`, the recipe is the one that fits the data. Other `--data` options follow the
    class, whatever order they were given in.

    Raises:
        FileNotFoundError: nothing is at the path.
        ValueError: it is not data.
    """
    place = _data_at(args)
    if place is None:
        return args
    start, stop, path = place
    rest = [*args[:start], *args[stop:]]
    chosen = [f"--data=neurodyn.data.{class_for(path)}", f"--data.path={path}"]
    if not any(arg.partition("=")[0] in ("--config", "-c") for arg in rest):
        chosen.insert(0, f"--config={recipe_for(args)}")
    command = 1 if rest and not rest[0].startswith("-") else 0
    return [*rest[:command], *chosen, *rest[command:]]


def data_path(args: list[str]) -> Path | None:
    """The path after `--data`, if there is one."""
    place = _data_at(args)
    return place[2] if place else None


def recipe_for(args: list[str]) -> str | None:
    """The name of the recipe that fits `--data PATH`; None if there is no path in the arguments."""
    place = _data_at(args)
    if place is None:
        return None
    path = place[2]
    kind = class_for(path)
    if kind != "ArrayFile":
        return RECIPES["images"]
    given = {name: _value(args, f"--data.{name}") for name in LOOKED_AT}
    options: dict[str, Any] = {name: said for name, said in given.items() if said is not None}
    if "time_first" in options:
        options["time_first"] = options["time_first"].lower() == "true"
    return RECIPES[data.ArrayFile(str(path), **options).facts.layout]


def class_for(path: Path) -> str:
    """The name of the class in `neurodyn.data` that reads a file or folder."""
    if path.is_file():
        if path.suffix.lower() in ARRAYS:
            return "ArrayFile"
        raise ValueError(f"data: found the file {path}, expected {EXPECTED}")
    kinds = suffixes_below(path)
    images = sum(number for suffix, number in kinds.items() if suffix in image_suffixes())
    events = sum(number for suffix, number in kinds.items() if suffix in RECORDINGS)
    if not images and not events:
        found = ", ".join(
            f"{n} {suffix or 'without a suffix'}" for suffix, n in kinds.most_common(5)
        )
        raise ValueError(
            f"data: found {found or 'no files'} in the folder {path}, expected {EXPECTED}"
        )
    return "ImageFolder" if images >= events else "EventFolder"


def _data_at(args: list[str]) -> tuple[int, int, Path] | None:
    """Where `--data PATH` stands, and the path; None for a class."""
    for i, arg in enumerate(args):
        if arg.startswith("--data="):
            start, stop, value = i, i + 1, arg.partition("=")[2]
        elif arg == "--data" and i + 1 < len(args):
            start, stop, value = i, i + 2, args[i + 1]
        else:
            continue
        path = Path(value).expanduser()
        if value in data.__all__ or path.suffix.lower() in CONFIGS:
            continue
        if path.exists():
            return start, stop, path
        if "/" in value or path.suffix.lower() in ARRAYS:
            raise FileNotFoundError(
                f"data: looked for {value} and did not find it; expected {EXPECTED}"
            )
    return None


def _value(args: list[str], option: str) -> str | None:
    for i, arg in enumerate(args):
        if arg == option and i + 1 < len(args):
            return args[i + 1]
        if arg.startswith(f"{option}="):
            return arg.partition("=")[2]
    return None
