"""Compare neurons: the same network and recipe, over seeds, for each neuron."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from tqdm.auto import tqdm

from neurodyn.analysis.pictures import plot_dynamics
from neurodyn.comparison.clock import Clock
from neurodyn.comparison.contender import Contender
from neurodyn.comparison.families import Families, History, plot_families
from neurodyn.comparison.provenance import provenance, read_json, write_json
from neurodyn.comparison.tables import validation_curve, write_report
from neurodyn.neurons import neurons_of
from neurodyn.training.checkpoint import Latest
from neurodyn.training.guard import NonFiniteError
from neurodyn.training.recipe import Recipe

OURS = ("--seed_everything", "--checkpoint", "--last.folder", "--trainer.logger")
PLACE = (
    *(f"data.init_args.{name}" for name in ("root", "download", "workers", "on_device")),
    *("checkpoint", "last", "trainer.accelerator", "trainer.default_root_dir", "trainer.logger"),
    *("trainer.log_every_n_steps", "trainer.enable_progress_bar", "trainer.enable_model_summary"),
)
"""Settings that say where and how a run happens and not what it is, with all below them."""


@dataclass
class Result:
    """One run: accuracies in percent, activity a test sample, energy in nanojoules.

    `seconds` is the wall time of training and validation over all starts, the compilation of
    kernels included; not the reading of the data, the test, or work that was lost to a kill.
    `epoch_seconds` has those of each epoch, `[training, validation]`, beside the `curve` of
    validation accuracies, and `target` is the one whose time is asked for. `starts` has the
    `provenance` of every start, from the first that got as far as a checkpoint.
    """

    neuron: str
    seed: int
    accuracy: float
    val_accuracy: float
    firing_rate: float
    spikes: float
    sops: float
    energy_nJ: float  # noqa: N815 - the unit's own spelling
    parameters: int
    epochs: int
    seconds: float
    curve: list[float]
    epoch_seconds: list[list[float]]
    target: float | None
    fingerprint: str
    starts: list[dict[str, Any]]


def compare(recipe: Sequence[str], neurons: Sequence[str], seeds: int, folder: Path) -> str:
    """Train every neuron over every seed; write table and pictures; return the table.

    Runs that are finished in `folder` are not run again, interrupted ones go on where they were. A
    run that was made with other settings is an error: nothing is overwritten. The table is of all
    runs in the folder, those of other comparisons too. A run whose numbers stop being finite counts
    as finished: it is named under the table, with the reason, and the others go on.

    Args:
        recipe: command-line arguments of a recipe, such as `["--config", "digits"]`.
        neurons: contenders, as `Contender` reads them.
        seeds: number of seeds, 0, 1, ...
        folder: run folder.
    """
    for argument in recipe:
        if argument.startswith(OURS):
            raise ValueError(f"{argument.split('=')[0]}: compare sets this itself")
    if not neurons:
        raise ValueError("neurons: expected at least one")
    if seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")
    contenders = [Contender.parse(text) for text in neurons]
    if len({contender.folder for contender in contenders}) < len(contenders):
        raise ValueError(f"neurons: expected different ones, got {', '.join(neurons)}")
    with _quiet():
        for contender in contenders:
            # A mistake in the last one's options shows now, and not after the others' training.
            Run(contender, 0, recipe, folder).check()
    with _quiet(), tqdm(unit="epoch", dynamic_ncols=True) as bar:
        for contender in contenders:
            for seed in range(seeds):
                bar.set_description(f"{contender.label} seed {seed}")
                run = Run(contender, seed, recipe, folder)
                bar.total = len(contenders) * seeds * run.epochs
                run.finish(bar)
    return write_report(folder)


class Run:
    """One neuron and seed: its folder, its state on disk, and how to finish it."""

    def __init__(
        self, contender: Contender, seed: int, recipe: Sequence[str], folder: Path
    ) -> None:
        self.contender, self.seed = contender, seed
        self.home = folder / contender.folder / f"seed-{seed}"
        arguments = [*recipe, *contender.arguments(), f"--seed_everything={seed}"]
        # The check of the validation would compile kernels before the clock starts.
        quiet = ["--trainer.num_sanity_val_steps=0", f"--last.folder={self.home}"]
        quiet += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
        self.cli = Recipe([*arguments, *quiet], run=False)
        self.config = self.cli.parser.dump(self.cli.config, skip_link_targets=False)
        self.settings = lasting_settings(self.config)
        self.fingerprint = hashlib.sha256(repr(self.settings).encode()).hexdigest()[:16]
        self.target: float | None = self.cli.config["target"]
        self.epochs = int(self.cli.trainer.max_epochs or 0)

    def check(self) -> None:
        """Refuse settings that cannot work, or that differ from those the run was begun with."""
        if self.cli.datamodule.validation == 0:
            raise ValueError("data.validation: a comparison selects the epoch on validation images")
        if self.epochs < 1:
            raise ValueError(f"trainer.max_epochs: expected at least 1, got {self.epochs}")
        if self.target is not None and not 0 < self.target <= 100:
            raise ValueError(f"target: expected an accuracy in percent, got {self.target}")
        if not self._begun:
            return
        there = lasting_settings((self.home / "config.yaml").read_text())
        other = [
            f"{key} is {there.get(key)} there, {self.settings.get(key)} here"
            for key in sorted({*there, *self.settings})
            if there.get(key) != self.settings.get(key)
        ]
        if other:
            raise ValueError(
                f"out: {self.home} holds a run with other settings: {'; '.join(other)}; "
                "choose another folder, or delete that one"
            )

    @property
    def _begun(self) -> bool:
        """Whether something was trained here: a start that failed before it leaves no trace."""
        names = ("last.ckpt", "result.json", "diverged.json")
        return any((self.home / name).is_file() for name in names)

    def finish(self, bar: tqdm[Any]) -> None:
        """Train from where the run stopped, test and write the result; nothing if it is there."""
        self.check()
        if (self.home / "result.json").is_file() or (self.home / "diverged.json").is_file():
            bar.update(self.epochs)
            return
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "config.yaml").write_text(self.config)
        starts = self.home / "starts.json"
        write_json(starts, [*(read_json(starts) if self._begun else []), provenance()])
        try:
            seconds, by_epoch, families = self._train(bar)
        except NonFiniteError as error:
            # The same seed would end in the same way.
            why = {"neuron": self.contender.label, "seed": self.seed, "why": str(error)}
            write_json(self.home / "diverged.json", {**why, "starts": read_json(starts)})
            return
        curve = validation_curve(self.home / "log")
        result = Result(
            neuron=self.contender.label,
            seed=self.seed,
            **self._test(),
            val_accuracy=max(curve),
            parameters=sum(p.numel() for p in self.cli.model.parameters()),
            epochs=self.epochs,
            seconds=seconds,
            curve=curve,
            epoch_seconds=by_epoch,
            target=self.target,
            fingerprint=self.fingerprint,
            starts=read_json(starts),
        )
        title = f"{self.contender.label}, seed {self.seed}"
        pictures = {}
        if any(neurons_of(self.cli.model.network)):
            pictures["dynamics.png"] = plot_dynamics(self.cli.model.network, title=title)
        if families:
            write_json(self.home / "families.json", families)
            pictures["families.png"] = plot_families(families, title=title)
        for name, picture in pictures.items():
            picture.savefig(self.home / name, dpi=150)
        write_json(self.home / "result.json", asdict(result))

    def _train(self, bar: tqdm[Any]) -> tuple[float, list[list[float]], History]:
        """Train to the end; the seconds of all starts, those of each epoch, and the families."""
        trainer, last = self.cli.trainer, self.home / "last.ckpt"
        clock, families = Clock(), Families()
        best = ModelCheckpoint(
            self.home, "best", monitor="val_accuracy", mode="max", enable_version_counter=False
        )
        trainer.logger = CSVLogger(self.home, name="log")
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        # `Latest` at the end: its checkpoint holds what the others came to.
        latest = [c for c in callbacks if isinstance(c, Latest)]
        others = [c for c in callbacks if not isinstance(c, Checkpoint)]
        progress = _Bar(bar, f"{self.contender.label} seed {self.seed}")
        callbacks[:] = [*others, clock, families, progress, best, *latest]
        trainer.fit(
            self.cli.model,
            self.cli.datamodule,
            ckpt_path=last if last.is_file() else None,
            weights_only=True,
        )
        # Now: the test sets callbacks back to where they were in the best epoch.
        return clock.time_elapsed(), clock.seconds, families.history

    def _test(self) -> dict[str, float]:
        """The scores of the best epoch on the test set."""
        (score,) = self.cli.trainer.test(
            self.cli.model,
            self.cli.datamodule,
            # By path: a callback remembers where the folder was before somebody moved it.
            ckpt_path=self.home / "best.ckpt",
            verbose=False,
            weights_only=True,
        )
        activity = {key: score[key] for key in ("firing_rate", "spikes", "sops", "energy_nJ")}
        return {"accuracy": 100 * score["test_accuracy"], **activity}


def lasting_settings(config: str) -> dict[str, Any]:
    """The settings of a configuration that make a run what it is, by their full keys.

    Those that are nothing are left out, so that an option which this version has and the one that
    began a run had not is no difference.
    """
    settings = dict(_leaves("", yaml.safe_load(config)))
    return {
        key: value
        for key, value in sorted(settings.items())
        if value is not None and not any(f"{key}.".startswith(f"{place}.") for place in PLACE)
    }


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield key, value
        return
    for name, below in value.items():
        yield from _leaves(f"{key}.{name}" if key else str(name), below)


class _Bar(L.Callback):
    """Moves the comparison's progress bar on, epoch by epoch."""

    def __init__(self, bar: tqdm[Any], label: str) -> None:
        self.bar, self.label = bar, label

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.bar.update(trainer.current_epoch)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            accuracy = trainer.callback_metrics["val_accuracy"].item()
            self.bar.set_description(f"{self.label}, validation {100 * accuracy:.1f} %")
            self.bar.update(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's banners and tips, twelve times over, out of the table's way."""
    names = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning")
    levels = [(log, log.level) for log in map(logging.getLogger, names)]
    for log, _ in levels:
        log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for log, level in levels:
                log.setLevel(level)
