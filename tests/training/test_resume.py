"""Training that is killed at any moment goes on to the weights of a run without a break."""

import csv
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from lightning.pytorch.plugins.io import TorchCheckpointIO

from neurodyn.training.checkpoint import LastCheckpoint
from neurodyn.training.recipe import Recipe

SETTINGS = [
    "--config=digits",
    "--trainer.max_epochs=3",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.num_sanity_val_steps=0",
    "--data.limit=320",
    "--data.augment.crop=1",
    "--model.network.widths=[4,6]",
    "--model.network.dropout=0.5",
    "--last_checkpoint.minutes=0",
    "--trainer.callbacks+=EMAWeightAveraging",
    "--trainer.callbacks.decay=0.9",
]

WEIGHT = "network.body.0.0.weight"

KILLED = """
import os, signal, sys
from neurodyn.training.learner import Learner
from neurodyn.training.recipe import Recipe

where, count, checkpoint, *arguments = sys.argv[1:]
step, left = getattr(Learner, where), [int(count)]

def until_killed(self, batch, index):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

setattr(Learner, where, until_killed)
recipe = Recipe(arguments, run=False)
recipe.trainer.fit(
    recipe.model, recipe.datamodule, ckpt_path=checkpoint or None, weights_only=True
)
"""


def arguments(folder):
    return [*SETTINGS, f"--last_checkpoint.folder={folder}", f"--trainer.logger.save_dir={folder}"]


def killed(folder, where, count, checkpoint=""):
    command = [sys.executable, "-c", KILLED, where, str(count), str(checkpoint)]
    done = subprocess.run([*command, *arguments(folder)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return torch.load(folder / "last.ckpt", weights_only=True)


def finished(folder, checkpoint=None):
    recipe = Recipe(arguments(folder), run=False)
    recipe.trainer.fit(recipe.model, recipe.datamodule, ckpt_path=checkpoint, weights_only=True)
    return torch.load(folder / "last.ckpt", weights_only=True)


def rows(folder):
    parts = sorted(folder.glob("fit/version_*/metrics.csv"))
    read = [list(csv.DictReader(part.open(newline=""))) for part in parts]
    return [
        {k: r[k] for k in ("epoch", "train_loss", "val_accuracy")} for part in read for r in part
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows cannot kill like that")
def test_killed_between_two_steps_and_in_validation(tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    last = broken / "last.ckpt"
    content = killed(broken, "training_step", 3)
    assert content["global_step"] == 3
    content = killed(broken, "validation_step", 3, last)
    assert content["global_step"] == 9, "the third validation batch is of the second epoch"
    one, two = finished(straight), finished(broken, last)
    assert one["global_step"] == two["global_step"] == 15
    assert not torch.equal(*(one[key][WEIGHT] for key in ("state_dict", "current_model_state")))
    for key in ("state_dict", "current_model_state"):
        for name, weight in one[key].items():
            assert torch.equal(weight, two[key][name]), name
    assert rows(straight) == rows(broken)


def test_only_whole_checkpoints_replace_earlier_ones(tmp_path, monkeypatch):
    more = ["--trainer.max_epochs=1", f"--checkpoint.dirpath={tmp_path}"]
    recipe = Recipe([*arguments(tmp_path), *more], run=False)
    recipe.trainer.fit(recipe.model, recipe.datamodule)
    paths = [tmp_path / "last.ckpt", tmp_path / "best.ckpt"]
    before = [path.read_bytes() for path in paths]

    def half(self, checkpoint, path, storage_options=None):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", half)
    last = next(c for c in recipe.trainer.callbacks if isinstance(c, LastCheckpoint))
    with pytest.raises(OSError, match="no space left"):
        last.on_train_epoch_end(recipe.trainer, recipe.model)
    with pytest.raises(OSError, match="no space left"):
        recipe.trainer.save_checkpoint(tmp_path / "best.ckpt")
    assert [path.read_bytes() for path in paths] == before
    assert sorted(tmp_path.glob("*.ckpt")) == sorted(paths)


def test_a_folder_in_use_is_refused_and_then_tidied(tmp_path):
    given = [*arguments(tmp_path), "--trainer.max_epochs=1"]
    left = tmp_path / ".last-abcd_123.ckpt"
    left.touch()
    other = FileLock(tmp_path / "last.lock")
    recipe = Recipe(given, run=False)
    with other, pytest.raises(ValueError, match="another process trains in"):
        recipe.trainer.fit(recipe.model, recipe.datamodule)
    assert left.exists()
    assert not (tmp_path / "last.ckpt").exists()
    recipe = Recipe(given, run=False)
    recipe.trainer.fit(recipe.model, recipe.datamodule)
    assert not left.exists()
    with other.acquire(blocking=False):
        assert (tmp_path / "last.ckpt").exists()


def test_minutes_are_a_time():
    with pytest.raises(ValueError, match="minutes: expected 0 or more, got -1"):
        LastCheckpoint(minutes=-1)
