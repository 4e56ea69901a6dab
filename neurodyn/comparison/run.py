"""One run of a comparison: a contender and a seed, trained and tested, or resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import CSVLogger

from neurodyn.comparison.arguments import QUIET
from neurodyn.comparison.clock import Clock
from neurodyn.comparison.contender import Contender
from neurodyn.comparison.course import COURSE, CourseKeeper
from neurodyn.comparison.families import Families
from neurodyn.comparison.folder import is_finished, write_json
from neurodyn.comparison.portrait import ACTIVITY, PICTURES, FirstSample, Portrait
from neurodyn.comparison.progress import Watch
from neurodyn.comparison.provenance import provenance
from neurodyn.comparison.settings import differences, lasting_settings, saved_settings
from neurodyn.comparison.verdict import listed
from neurodyn.files import read_json, remove_leftovers, write
from neurodyn.training.checkpoint import BestCheckpoint, LastCheckpoint, is_whole
from neurodyn.training.guard import NonFiniteError
from neurodyn.training.place import CONFIG
from neurodyn.training.recipe import Recipe

WRITTEN = (
    *("config.yaml", "starts.json", "last.ckpt", "best.ckpt", "result.json", "diverged.json"),
    *("families.json", COURSE, ACTIVITY, *PICTURES),
)
"""The files of a run."""


@dataclass
class Result:
    """One run: scores in percent, activity per test sample, energy in nanojoules.

    `metric` is the task's main metric; `score` and `val_score` are its values on the test set and,
    in the best epoch, on validation data. `beside` has other values on the test set, by their
    heading in a table. `confusion` counts, for each class of the test set (rows), how often it was
    taken for each class.

    `seconds` is the wall time of training and validation over all starts, with the compilation of
    kernels; without reading the data, the test, and work that was lost to a kill. `epoch_seconds`
    has `[training, validation]` for each epoch, beside the `curve` of validation scores.
    `fingerprint` is of the settings, `data` of the content of the data's files, or of their names.
    `target` is the score whose time the table shows. `starts` has the `provenance` of every
    start from the first that reached a checkpoint.
    """

    neuron: str
    seed: int
    metric: str
    score: float
    val_score: float
    beside: dict[str, float]
    confusion: list[list[int]] | None
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
    data: str | None
    starts: list[dict[str, Any]]


def run_folder(folder: Path, contender: Contender, seed: int) -> Path:
    """The folder of one run in a run folder."""
    return folder / contender.folder / f"seed-{seed}"


class Run:
    """One contender and seed: its folder, its state on disk, and how to finish it."""

    def __init__(
        self, contender: Contender, seed: int, recipe: Sequence[str], folder: Path
    ) -> None:
        self.contender, self.seed = contender, seed
        self.home = run_folder(folder, contender, seed)
        arguments = [*recipe, *contender.arguments(), f"--seed_everything={seed}"]
        quiet = [f"{name}={value}" for name, value in QUIET.items()]
        place = f"--last_checkpoint.folder={self.home}"
        self.cli = Recipe([*arguments, *quiet, place], run=False, earlier=self._earlier())
        self.config = self.cli.parser.dump(self.cli.config)
        self.settings = lasting_settings(self.config)
        self.fingerprint = hashlib.sha256(repr(self.settings).encode()).hexdigest()[:16]
        self.target = self.cli.target
        self.epochs = int(self.cli.trainer.max_epochs or 0)

    def check(self) -> None:
        """Refuse settings that cannot work, or that differ from those of the run in the folder."""
        if self.cli.datamodule.validation == 0:
            raise ValueError("data.validation: a comparison selects the epoch on validation data")
        if self.epochs < 1:
            raise ValueError(f"trainer.max_epochs: expected at least 1, got {self.epochs}")
        if not _is_begun(self.home):
            return
        there = saved_settings(self.home / "config.yaml")
        other = differences(there, self.settings)
        if other:
            raise ValueError(
                f"out: {self.home} holds a run with other settings: {'; '.join(other)}; "
                "choose another folder, or delete that one"
            )

    def _earlier(self) -> Path | None:
        """The folder of a run that was begun with this contender: this one, or of another seed."""
        homes = [self.home, *sorted(self.home.parent.glob("seed-*"))]
        return next((h for h in homes if _is_begun(h) and (h / CONFIG).is_file()), None)

    def finish(self, watch: Watch) -> None:
        """Train from where the run stopped, test, write the result. Does nothing if it is there."""
        self.check()
        if is_finished(self.home):
            watch.epoch(self.epochs)
            return
        self._tidy(watch)
        write(self.home / "config.yaml", self.config)
        starts = self.home / "starts.json"
        earlier = read_json(starts) if _is_begun(self.home) else []
        title = f"{self.contender.label}, seed {self.seed}"
        threads = {start["machine"]["threads"] for start in earlier} - {torch.get_num_threads()}
        if threads:
            watch.note(
                f"{title}: begun with {listed(sorted(threads))} threads, resumed with "
                f"{torch.get_num_threads()}; its last digits depend on them (--threads)"
            )
        write_json(starts, [*earlier, provenance()])
        portrait, sample = Portrait(self.cli.model, self.home, title), FirstSample()
        self.cli.trainer.callbacks.append(sample)  # type: ignore[attr-defined]
        try:
            clock, families = self._train(watch)
        except NonFiniteError as error:
            # The same seed would end the same way, so this run counts as finished.
            why = {"neuron": self.contender.label, "seed": self.seed, "why": str(error)}
            write_json(self.home / "diverged.json", {**why, "starts": read_json(starts)})
            return
        # Read before the test: it sets callbacks back to their state in the best epoch.
        seconds, epoch_seconds, curve = clock.time_elapsed(), clock.seconds, clock.curve
        history = families.history
        result = Result(
            neuron=self.contender.label,
            seed=self.seed,
            **self._test(),
            val_score=max(curve),
            parameters=sum(p.numel() for p in self.cli.model.parameters()),
            epochs=self.epochs,
            seconds=seconds,
            curve=curve,
            epoch_seconds=epoch_seconds,
            target=self.target,
            fingerprint=self.fingerprint,
            data=self.cli.datamodule.fingerprint(),
            starts=read_json(starts),
        )
        if history:
            write_json(self.home / "families.json", history)
        portrait.draw(history, sample.x)
        write_json(self.home / "result.json", asdict(result))

    def _tidy(self, watch: Watch) -> None:
        """Remove files that a kill left half-written, and checkpoints that are not whole.

        Training can resume from the best checkpoint too. But the weights of the best epoch are in
        no other file: without them the run starts again.
        """
        for name in WRITTEN:
            remove_leftovers(self.home / name)
        best, last = self.home / "best.ckpt", self.home / "last.ckpt"
        broken = [path for path in (best, last) if path.is_file() and not is_whole(path)]
        if not broken:
            return
        resumable = best.is_file() and best not in broken
        what = f"resumes from {best}" if resumable else "starts again"
        names = " and ".join(map(str, broken))
        watch.note(f"{names}: not a whole checkpoint; the run {what}")
        if resumable:
            write(last, best.read_bytes())
        else:
            for path in (best, last):
                path.unlink(missing_ok=True)

    def _train(self, watch: Watch) -> tuple[Clock, Families]:
        """Train to the end; return what was noted on the way."""
        trainer, last = self.cli.trainer, self.home / "last.ckpt"
        clock, families, course = Clock(), Families(), CourseKeeper(self.home / COURSE)
        best = BestCheckpoint(
            self.home, "best", monitor="val_score", mode="max", enable_version_counter=False
        )
        trainer.logger = CSVLogger(self.home, name="log")
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        # The last checkpoint is written last: it holds the state of the other callbacks.
        last_checkpoint = [c for c in callbacks if isinstance(c, LastCheckpoint)]
        others = [c for c in callbacks if not isinstance(c, Checkpoint)]
        callbacks[:] = [*others, clock, families, course, _Watched(watch), best, *last_checkpoint]
        trainer.fit(
            self.cli.model,
            self.cli.datamodule,
            ckpt_path=last if last.is_file() else None,
            weights_only=True,
        )
        return clock, families

    def _test(self) -> dict[str, Any]:
        """The scores of the best epoch on the test set."""
        (score,) = self.cli.trainer.test(
            self.cli.model,
            self.cli.datamodule,
            # By path: the callback knows the folder by its old name if it was moved.
            ckpt_path=self.home / "best.ckpt",
            verbose=False,
            weights_only=True,
        )
        activity = {key: score[key] for key in ("firing_rate", "spikes", "sops", "energy_nJ")}
        task, confusion = self.cli.model.task, self.cli.model.confusion
        beside = {
            heading: factor * score[f"test_{name}"]
            for name, (heading, factor) in task.beside().items()
        }
        return {
            "metric": task.heading,
            "score": 100 * score["test_score"],
            "beside": beside,
            "confusion": None if confusion is None else confusion.compute().cpu().tolist(),
            **activity,
        }


def _is_begun(home: Path) -> bool:
    """Whether something was trained there. A start that failed before that does not count."""
    return (home / "last.ckpt").is_file() or is_finished(home)


class _Watched(L.Callback):
    """Tells how many epochs are done."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.watch.epoch(trainer.current_epoch)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            score = 100 * trainer.callback_metrics["val_score"].item()
            self.watch.epoch(trainer.current_epoch + 1, score)
