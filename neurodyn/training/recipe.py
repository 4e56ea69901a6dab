"""A recipe: one YAML file with network, neuron, data and training."""

from __future__ import annotations

import logging
import sys
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins.io import TorchCheckpointIO

from neurodyn.data import SampleData
from neurodyn.errors import unknown
from neurodyn.training.allowed import only_allowed
from neurodyn.training.checkpoint import LastCheckpoint, WholeCheckpoints
from neurodyn.training.guard import Guard
from neurodyn.training.module import Classifier
from neurodyn.training.parser import RecipeError, RecipeParser, plain


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


class Recipe(LightningCLI):
    """`LightningCLI` with our module and data, our checkpoints and the guard."""

    def __init__(self, args: list[str], *, run: bool) -> None:
        # It warns that `args` replaces the command line, which is what we want.
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", module="lightning")
        logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_no_advertising)
        try:
            with only_allowed():
                super().__init__(
                    Classifier,
                    SampleData,
                    parser_class=RecipeParser,
                    subclass_mode_data=True,
                    seed_everything_default=0,
                    auto_configure_optimizers=False,
                    save_config_kwargs={"overwrite": True},
                    parser_kwargs={"prog": "neurodyn"},
                    args=with_recipe_paths(args),
                    run=run,
                )
        except RecipeError as error:
            advice = "--print_config shows every setting, --help explains them."
            raise RecipeError(f"recipe: {plain(str(error))}\n{advice}") from error

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        # A recipe must not decide how a checkpoint is loaded: without it a checkpoint runs code.
        skipped = LightningCLI.subcommands()
        return {name: {*given, "weights_only"} for name, given in skipped.items()}

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    def before_instantiate_classes(self) -> None:
        if self.subcommand in ("validate", "test"):
            given = self._get(self.config, "ckpt_path")
            if not given or not ("://" in given or Path(given).exists()):
                raise FileNotFoundError(
                    f"ckpt_path: expected the file of a checkpoint to {self.subcommand}, got "
                    f"{given or 'none'}; `neurodyn fit` prints where its best one is"
                )
        self.target: float | None = self._get(self.config, "target")
        if self.target is not None and not 0 < self.target <= 100:
            raise ValueError(f"target: expected an accuracy in percent, got {self.target}")

    def before_fit(self) -> None:
        if self.target is not None:
            reached = EarlyStopping(
                "val_accuracy",
                mode="max",
                patience=sys.maxsize,
                stopping_threshold=self.target / 100,
                verbose=True,
            )
            self.trainer.callbacks.insert(0, reached)  # type: ignore[attr-defined]

    def after_fit(self) -> None:
        best = Path(self._get(self.config_init, "checkpoint").best_model_path)
        if best.is_file() and self.trainer.is_global_zero:
            here = Path.cwd()
            print(f"best checkpoint: {best.relative_to(here) if here in best.parents else best}")

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except ValueError as error:
            raise ValueError(plain(str(error))) from error
        # A plugin that the recipe names is left as it is.
        if type(self.trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            self.trainer.strategy.checkpoint_io = WholeCheckpoints()

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--target",
            type=float | None,
            default=None,
            help="validation accuracy in percent: fit stops when it is reached; the table of a "
            "comparison shows how soon that was, and training goes on",
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val_accuracy",
                "checkpoint.mode": "max",
                "checkpoint.filename": "best",
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(Guard, "guard")
        logger = {"save_dir": "runs", "name": "fit"}
        parser.set_defaults(
            {
                "trainer.logger": {
                    "class_path": "lightning.pytorch.loggers.CSVLogger",
                    "init_args": logger,
                }
            }
        )
        parser.link_arguments("data.shape", "model.network.init_args.shape", apply_on="instantiate")
        for target in ("model.network.init_args.classes", "model.classes"):
            parser.link_arguments("data.classes", target, apply_on="instantiate")


def _no_advertising(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()
