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


def recipe_first(args: list[str]) -> list[str]:
    """The arguments with `--config PATH` in front, behind the command if there is one.

    A recipe replaces settings that come before it, and options are there to replace the recipe's.
    The name of a recipe is turned into its path.
    """
    command = [*args[:1]] if args and not args[0].startswith("-") else []
    configs, others = [], []
    rest = iter(args[len(command) :])
    for arg in rest:
        name, given, value = arg.partition("=")
        if name in ("--config", "-c"):
            configs.append(f"--config={find_recipe(value if given else next(rest, ''))}")
        else:
            others.append(arg)
    return [*command, *configs, *others]


def names_module(args: list[str]) -> bool:
    """Whether the last recipe in `recipe_first`'s arguments names a module of Lightning's, as
    `model.class_path`, instead of options of our own module."""
    import yaml

    recipes = [arg.partition("=")[2] for arg in args if arg.startswith("--config=")]
    try:
        model = yaml.safe_load(Path(recipes[-1]).read_text(encoding="utf-8"))["model"]
        return "class_path" in model
    except (LookupError, TypeError, yaml.YAMLError, UnicodeDecodeError):
        return False  # The parser says what is wrong with it.
