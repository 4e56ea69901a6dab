"""Training that is killed at any moment goes on to the weights of a run without a break."""

import csv
import signal
import subprocess
import sys

import pytest
import torch

from neurodyn.training.checkpoint import Latest
from neurodyn.training.recipe import Recipe

SETTINGS = [
    "--config=digits",
    "--trainer.max_epochs=3",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.num_sanity_val_steps=0",
    "--data.limit=320",
    "--data.crop=1",
    "--model.network.widths=[4,6]",
    "--model.network.dropout=0.5",
    "--last.minutes=0",
    "--trainer.callbacks+=EMAWeightAveraging",
    "--trainer.callbacks.decay=0.9",
]

WEIGHT = "network.body.0.0.weight"

KILLED = """
import os, signal, sys
from neurodyn.training.module import Classifier
from neurodyn.training.recipe import Recipe

where, count, checkpoint, *arguments = sys.argv[1:]
step, left = getattr(Classifier, where), [int(count)]

def until_killed(self, batch, index):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

setattr(Classifier, where, until_killed)
recipe = Recipe(arguments, run=False)
recipe.trainer.fit(
    recipe.model, recipe.datamodule, ckpt_path=checkpoint or None, weights_only=True
)
"""


def arguments(folder):
    return [*SETTINGS, f"--last.folder={folder}", f"--trainer.logger.save_dir={folder}"]


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


def test_only_whole_checkpoints_replace_the_last(tmp_path, monkeypatch):
    recipe = Recipe([*arguments(tmp_path), "--trainer.max_epochs=1"], run=False)
    recipe.trainer.fit(recipe.model, recipe.datamodule)
    before = (tmp_path / "last.ckpt").read_bytes()
    latest = next(c for c in recipe.trainer.callbacks if isinstance(c, Latest))

    def half(path):
        path.write_bytes(before[:100])
        raise OSError("no space left")

    monkeypatch.setattr(recipe.trainer, "save_checkpoint", half)
    with pytest.raises(OSError, match="no space left"):
        latest.on_train_epoch_end(recipe.trainer, recipe.model)
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_minutes_are_a_time():
    with pytest.raises(ValueError, match="minutes: expected 0 or more, got -1"):
        Latest(minutes=-1)
