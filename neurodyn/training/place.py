"""Where a trained model lies: the folder of a run, of a `fit`, or of a model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from neurodyn.training.checkpoint import is_whole

CONFIG, WEIGHTS, NOTES = "config.yaml", "model.safetensors", "run.json"
"""The files of a model card's folder, beside its README.md."""


@dataclass(frozen=True)
class Place:
    """The folder of a trained model and the file of its weights."""

    folder: Path
    weights: Path

    @property
    def is_card(self) -> bool:
        """Whether the weights are safetensors, which stand without a training's state."""
        return self.weights.name == WEIGHTS

    def config(self) -> dict[str, Any]:
        """The settings in `config.yaml`; an error names the file."""
        path = self.folder / CONFIG
        try:
            found = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected YAML, got {error}") from error
        missing = [
            name
            for name in ("data", "model")
            if not isinstance(found, dict) or not isinstance(found.get(name), dict)
        ]
        if missing:
            raise ValueError(f"{path}: expected the settings of a run, found no {missing[0]!r}")
        settings: dict[str, Any] = found
        return settings


def find_run(path: str | Path, checkpoint: str = "best") -> Place:
    """The place of a trained model.

    Args:
        path: the folder of a run, a file of weights in it, or the folder of a model card.
        checkpoint: which checkpoint of a run: "best", "last", or the name of another one.

    Raises:
        FileNotFoundError: there is none; the message says which runs or checkpoints there are.
        ValueError: the checkpoint is damaged.
    """
    path = Path(path).expanduser()
    if path.suffix in (".ckpt", ".safetensors"):
        if not path.is_file():
            raise FileNotFoundError(f"run: expected a file of weights, found none at {path}")
        return _checked(Place(folder_of(path), path))
    if not path.is_dir():
        raise FileNotFoundError(f"run: expected the folder of a run, found none at {path}")
    if not (path / CONFIG).is_file():
        raise FileNotFoundError(f"run: expected the folder of a run, got {path}{_runs_in(path)}")
    if (path / WEIGHTS).is_file():
        return Place(path, path / WEIGHTS)
    known = {one.stem: one for one in path.glob("[!.]*.ckpt")}
    known |= {one.stem: one for one in path.glob("checkpoints/[!.]*.ckpt")}
    name = checkpoint.removesuffix(".ckpt")
    if name not in known:
        there = f"there are {', '.join(sorted(known))}" if known else "it has none"
        if (path / "diverged.json").is_file():
            there = "its training stopped at a number that is not finite (diverged.json)"
        raise FileNotFoundError(f"checkpoint: found no {name!r} in {path}; {there}")
    return _checked(Place(path, known[name]))


def folder_of(weights: Path) -> Path:
    """The folder of the run that a file of weights is of."""
    return weights.parent.parent if weights.parent.name == "checkpoints" else weights.parent


def _checked(place: Place) -> Place:
    if not (place.folder / CONFIG).is_file():
        raise FileNotFoundError(
            f"run: expected {CONFIG} in {place.folder}, the folder of the run that "
            f"{place.weights.name} is of"
        )
    if not place.is_card and not is_whole(place.weights):
        others = sorted(place.weights.parent.glob("[!.]*.ckpt"))
        whole = [other.stem for other in others if is_whole(other)]
        rest = f"; checkpoint={whole[0]!r} is whole" if whole else ""
        raise ValueError(f"checkpoint: {place.weights} is damaged or cut short{rest}")
    return place


def _runs_in(folder: Path) -> str:
    """The runs below a folder, for an error."""
    configs = sorted(
        config
        for depth in ("*", "*/*", "*/*/*")
        for config in folder.glob(f"{depth}/{CONFIG}")
        # Lightning's log of a run has one too, and so has a card in a run's folder.
        if "log" not in config.relative_to(folder).parts
        and not (config.parent.parent / CONFIG).is_file()
    )
    if not configs:
        return f", in which there is no {CONFIG}"
    shown = [str(config.parent) for config in configs[:20]]
    more = f"\n  and {len(configs) - 20} more" if len(configs) > 20 else ""
    return ". Choose one of its runs:\n  " + "\n  ".join(shown) + more
