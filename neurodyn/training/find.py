"""Recipes by name or path. Nothing here imports PyTorch."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from neurodyn.errors import unknown


def recipe_folder() -> Path:
    """The folder of the recipes: in the installed package, or beside it in a checkout."""
    package = Path(str(files("neurodyn")))
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def find_recipe(name: str) -> Path:
    """The path of a recipe, given by its path or by the name of one that comes with neurodyn."""
    path = Path(name)
    if path.is_file():
        return path
    # `recipes/digits.yaml` also means the packaged recipe, in any working directory.
    elsewhere = path.parent not in (Path(), Path("recipes"))
    if elsewhere or path.suffix not in ("", ".yaml") or path.stem not in recipe_names():
        raise unknown("config", name, recipe_names())
    return recipe_folder() / f"{path.stem}.yaml"


def with_recipe_paths(args: list[str]) -> list[str]:
    """The arguments, with the name of a recipe after `--config` turned into its path."""
    done = list(args)
    for i, arg in enumerate(done):
        if arg in ("--config", "-c") and i + 1 < len(done):
            done[i + 1] = str(find_recipe(done[i + 1]))
        elif arg.startswith("--config="):
            done[i] = f"--config={find_recipe(arg.partition('=')[2])}"
    return done
