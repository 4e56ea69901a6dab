"""Two processes train as one with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from neurodyn.cli import main
from neurodyn.layers import Normed, TDBatchNorm2d
from neurodyn.neurons import LIF
from neurodyn.training.sync import SyncedNorms

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the interface between the processes has Linux's name"
)

SETTINGS = ["--config=digits", "--data.validation=32", "--model.network.widths=[4,6]"]
SETTINGS += ["--trainer.accelerator=cpu", "--trainer.precision=64-true"]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.sync_batchnorm=true"]


def command(*arguments):
    neurodyn = Path(sys.executable).with_name("neurodyn")
    # Other interfaces may be closed.
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [neurodyn, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_processes_with_synchronised_norms_end_with_the_same_weights(tmp_path):
    # An odd number, which two processes cannot share evenly.
    given = ["fit", *SETTINGS, "--data.limit=319", "--trainer.max_epochs=2"]
    given += [f"--trainer.logger.save_dir={tmp_path}"]
    one, two = (f"--last_checkpoint.folder={tmp_path / name}" for name in ("one", "two"))
    assert main([*given, one, "--data.batch_size=40"]) == 0
    out = command(*given, two, "--data.batch_size=20", *TWO)
    assert out.count("best checkpoint: ") == 1
    first, second = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("one", "two")
    )
    assert first["global_step"] == second["global_step"] == 2 * (319 // 40)
    for name, weight in first["state_dict"].items():
        if name.startswith("network"):
            assert (weight - second["state_dict"][name]).abs().max() < 1e-13, name


@pytest.mark.slow
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_two_processes_that_share_out_the_weights_end_with_those_of_one(tmp_path, per):
    given = [
        "fit",
        *SETTINGS[:-1],
        "--data.limit=320",
        "--trainer.max_epochs=2",
        f"--neuron.per={per}",
    ]
    given += [f"--trainer.logger.save_dir={tmp_path}", "--trainer.sync_batchnorm=true"]
    one, two = (f"--last_checkpoint.folder={tmp_path / name}" for name in ("one", "two"))
    assert main([*given, one, "--data.batch_size=40"]) == 0
    sizes = {"data_parallel_size": 2, "tensor_parallel_size": 1}
    options = {**sizes, "save_distributed_checkpoint": False}
    strategy = {"class_path": "lightning.pytorch.strategies.ModelParallelStrategy"}
    shared = json.dumps({**strategy, "init_args": options})
    sharded = ["--data.batch_size=20", "--trainer.devices=2", f"--trainer.strategy={shared}"]
    command(*given, two, *sharded)
    first, second = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("one", "two")
    )
    assert first["global_step"] == second["global_step"] == 16
    for name, weight in first["state_dict"].items():
        if name.startswith("network"):
            assert (weight - second["state_dict"][name]).abs().max() < 1e-6, name
    resumed = ["--ckpt_path", str(tmp_path / "two" / "last.ckpt"), "--trainer.max_epochs=3"]
    command(*given, two, *sharded, *resumed)


@pytest.mark.slow
def test_a_comparison_on_two_devices(tmp_path):
    given = [*SETTINGS, *TWO, "--data.limit=100", "--trainer.max_epochs=1"]
    command("compare", "--neurons=if,lif", "--seeds=1", f"--out={tmp_path}", *given)
    assert len(list(tmp_path.glob("*/seed-0/result.json"))) == 2


def test_norms_are_as_before_afterwards():
    normed = Normed(TDBatchNorm2d(3), LIF())
    other = nn.Sequential(normed, nn.BatchNorm1d(2))
    before = {name: type(module) for name, module in other.named_modules()}
    names = list(other.state_dict())
    sync = SyncedNorms()
    assert sync.apply(other) is other
    x = torch.randn(2, 4, 3, 64, 1024)
    assert normed._folds(nn.BatchNorm2d(3), x)
    assert not normed._folds(normed.norm[0], x), "its kernel has the statistics of this process"
    assert isinstance(normed.norm[0], TDBatchNorm2d)
    other.eval()
    normed(x)
    assert list(sync.revert(other).state_dict()) == names
    assert {name: type(module) for name, module in other.named_modules()} == before
