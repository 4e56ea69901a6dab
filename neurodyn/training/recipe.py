"""A recipe: one YAML file with network, neuron, data and training."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm

from neurodyn.data.adapted import adapted
from neurodyn.errors import unknown
from neurodyn.files import write
from neurodyn.neurons import set_horizon
from neurodyn.training.allowed import only_allowed
from neurodyn.training.checkpoint import (
    BestCheckpoint,
    LastCheckpoint,
    WholeCheckpoints,
    refuse_broken,
)
from neurodyn.training.find import names_module, recipe_first
from neurodyn.training.guard import Guard
from neurodyn.training.kept import keep_files
from neurodyn.training.learner import Learner
from neurodyn.training.links import link_data
from neurodyn.training.parser import RecipeError, RecipeParser, plain
from neurodyn.training.paths import with_data_paths
from neurodyn.training.place import CONFIG, folder_of
from neurodyn.training.sync import SyncedNorms

PROFILERS = ("simple", "advanced", "pytorch", "xla")
"""Lightning's names for its profilers. Any other one is a class."""


class WholeConfig(SaveConfigCallback):
    """Writes `config.yaml` into the logger's folder, whole or not at all."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        folder = trainer.log_dir  # All processes of a training ask for it together.
        if folder and "://" in folder:
            super().setup(trainer, pl_module, stage)
        elif folder and trainer.is_global_zero and not self.already_saved:
            write(Path(folder) / "config.yaml", self.parser.dump(self.config, skip_none=False))
        self.already_saved = True


def claim_version(logger: CSVLogger) -> None:
    """Make the logger's folder, so that no other process that starts now takes the same one."""
    if logger._version is not None or "://" in logger.root_dir:
        return
    while True:
        try:
            Path(logger.log_dir).mkdir(parents=True)
            return
        except FileExistsError:
            logger._version = None  # Then it looks for the next free number again.


class Recipe(LightningCLI):
    """`LightningCLI` with our module and data, our checkpoints and the guard.

    The module is a `Learner`, unless the recipe names another as `model.class_path`.

    Args:
        args: a command line, without `neurodyn`.
        run: whether it has a subcommand, which is run.
        earlier: folder of a run that goes on, whose content of files holds (see `keep_files`);
            unless given, that of the checkpoint that the command line names.
    """

    def __init__(self, args: list[str], *, run: bool, earlier: Path | None = None) -> None:
        self.earlier = earlier
        args = recipe_first(with_data_paths(args))
        self.learner = not names_module(args)
        # It warns that `args` replaces the command line, which is what we want.
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", module="lightning")
        for name in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
            logging.getLogger(f"lightning.pytorch.{name}").addFilter(_no_noise)
        try:
            with only_allowed():
                super().__init__(
                    Learner if self.learner else L.LightningModule,
                    L.LightningDataModule,
                    parser_class=RecipeParser,
                    subclass_mode_model=not self.learner,
                    subclass_mode_data=True,
                    seed_everything_default=0,
                    auto_configure_optimizers=False,
                    save_config_callback=WholeConfig,
                    save_config_kwargs={"overwrite": True},
                    parser_kwargs={"prog": "neurodyn"},
                    args=args,
                    run=run,
                )
        except RecipeError as error:
            advice = "--print_config shows every setting, neurodyn fit --help-all explains them."
            raise RecipeError(f"recipe: {plain(str(error))}\n{advice}") from error

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        # A recipe must not decide how a checkpoint is loaded: without it a checkpoint runs code.
        skipped = LightningCLI.subcommands()
        return {name: {*given, "weights_only"} for name, given in skipped.items()}

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        super().parse_arguments(parser, args)
        command = self.config.get("subcommand")
        given = self.config[command].get("ckpt_path") if command else None
        if command in ("validate", "test") and not (
            given and ("://" in given or Path(given).exists())
        ):
            raise FileNotFoundError(
                f"ckpt_path: expected the file of a checkpoint to {command}, got "
                f"{given or 'none'}; `neurodyn fit` prints where its best one is"
            )
        refuse_broken(Path(given or ""))
        if given and (folder_of(Path(given)) / CONFIG).is_file():
            self.earlier = folder_of(Path(given))

    def before_instantiate_classes(self) -> None:
        self.target: float | None = self._get(self.config, "target")
        if self.target is not None and not 0 < self.target <= 100:
            raise ValueError(f"target: expected a score in percent, got {self.target}")
        if self.learner:
            _refuse_untyped(self._get(self.config, "model.network"))
            keep_files(self._get(self.config, "model"), self.earlier)
        profiler = self._get(self.config, "trainer.profiler")
        if isinstance(profiler, str) and profiler not in PROFILERS:
            raise unknown("trainer.profiler", profiler, PROFILERS)

    def before_fit(self) -> None:
        if isinstance(self.trainer.logger, CSVLogger) and self.trainer.is_global_zero:
            claim_version(self.trainer.logger)
        if self.target is not None:
            reached = EarlyStopping(
                "val_score",
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
            # What the data say of themselves; jsonargparse wraps it in a page about the link.
            if isinstance(error.__cause__, Exception) and "compute_fn of link" in str(error):
                raise error.__cause__ from None
            message = plain(str(error))
            if "Expected a tuple with 3 elements" in message:
                message = (
                    f"network: {message.replace('tuple with 3 elements', 'shape (C, H, W)')}. It "
                    "takes images, and the data are none: --model.network SequenceNet takes "
                    "samples of any shape"
                )
            raise ValueError(message) from error
        if self.learner:
            self._fit_to_data()
        # A plugin that the recipe names is left as it is.
        if type(self.trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            self.trainer.strategy.checkpoint_io = WholeCheckpoints()
        strategy: Any = self.trainer.strategy
        if type(getattr(strategy, "_layer_sync", None)) is TorchSyncBatchNorm:
            strategy._layer_sync = SyncedNorms()

    def _fit_to_data(self) -> None:
        self.datamodule = adapted(self.datamodule)
        steps, shown = getattr(self.datamodule, "steps", None), self.model.schedule
        if steps is not None and shown != {0: 4}:  # the default
            raise ValueError(
                f"model.timesteps: the samples have time of their own, {steps} steps; expected "
                "none, as no image is shown repeatedly"
            )
        set_horizon(self.model.network, self.model.timesteps if steps is None else steps)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--target",
            type=float | None,
            default=None,
            help="validation score in percent, such as the accuracy: fit stops when it is reached; "
            "the table of a comparison shows how soon that was, and training goes on",
        )
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val_score",
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
        if self.learner:
            link_data(parser)


def _refuse_untyped(network: Any) -> None:
    for name, value in vars(network.get("init_args", network)).items():
        if type(value).__name__ == "NestedArg":
            raise ValueError(
                f"model.network.{name}: {network.class_path} has no annotation for it, so it "
                f"takes no options such as {value.key}={value.val}; for a neuron, write "
                f"{name}: neurodyn.neurons.NeuronFactory = LIF"
            )


def _no_noise(record: logging.LogRecord) -> bool:
    """Lightning advertises, and says at every checkpoint that it saves more than weights."""
    text = record.getMessage()
    return "Tip:" not in text and not text.startswith("`weights_only` was not set")
