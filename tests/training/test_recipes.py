"""Every recipe that comes with the package is read and built; none needs its data for that."""

import os
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from neurodyn.comparison.contender import Contender
from neurodyn.layers import GatedCell
from neurodyn.neurons import SoftReset, neurons_of
from neurodyn.surrogate import Rectangle, Triangle
from neurodyn.training.checkpoint import LastCheckpoint, WholeCheckpoints
from neurodyn.training.find import recipe_names
from neurodyn.training.guard import Guard
from neurodyn.training.names import neuron_names
from neurodyn.training.recipe import Recipe, claim_version


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(["--config", name, "--trainer.accelerator=cpu"], run=False)
    assert recipe.learner == (not name.startswith("noble"))
    if recipe.learner:
        assert recipe.model.network.shape == tuple(recipe.datamodule.shape)
        assert recipe.model.task.targets == recipe.datamodule.targets
    assert recipe.trainer.max_epochs > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "steps"), [("sequential-digits", 64), ("digits", 6), ("ecg", 1301)]
)
def test_the_data_say_how_long_the_sequences_are(name, steps):
    """Images are shown for four steps, and the shortest horizon is six."""
    given = ["--config", name, *Contender.parse("planar").arguments()]
    network = Recipe(given, run=False).model.network
    assert {neuron.horizon for _, neuron in neurons_of(network)} == {steps}
    given = ["--config", name, *Contender.parse("planar:horizon=30").arguments()]
    network = Recipe(given, run=False).model.network
    assert {neuron.horizon for _, neuron in neurons_of(network)} == {30}


def test_options_of_the_guard_and_of_the_last_checkpoint():
    given = ["--config=digits", "--guard.every=7", "--last_checkpoint.minutes=3"]
    callbacks = Recipe(given, run=False).trainer.callbacks
    (guard,) = (c for c in callbacks if isinstance(c, Guard))
    (last,) = (c for c in callbacks if isinstance(c, LastCheckpoint))
    assert (guard.every, last.minutes) == (7, 3.0)


def test_a_writer_of_checkpoints_that_a_recipe_names_is_kept():
    plugin = "lightning.pytorch.plugins.io.AsyncCheckpointIO"
    given = ["--config=digits", f"--trainer.plugins={plugin}"]
    kept = Recipe(given, run=False).trainer.strategy.checkpoint_io
    assert type(kept).__name__ == "AsyncCheckpointIO"
    ours = Recipe(given[:1], run=False).trainer.strategy.checkpoint_io
    assert isinstance(ours, WholeCheckpoints)


def test_two_trainings_that_start_together_take_two_folders(tmp_path):
    given = ["--config=digits", f"--trainer.logger.save_dir={tmp_path}"]
    loggers = [Recipe(given, run=False).trainer.logger for _ in range(2)]
    for logger in loggers:
        claim_version(logger)
    assert [logger.version for logger in loggers] == [0, 1]
    named = CSVLogger(tmp_path, "fit", version=1)
    claim_version(named)
    assert named.version == 1


def test_a_config_is_written_whole(tmp_path, monkeypatch):
    given = ["fit", "--config=digits", "--data.limit=100", f"--trainer.logger.save_dir={tmp_path}"]
    given += ["--trainer.max_epochs=0", "--trainer.logger.version=7"]
    Recipe(given, run=True)
    config = tmp_path / "fit" / "version_7" / "config.yaml"
    whole = config.read_text()
    assert yaml.safe_load(whole)["trainer"]["max_epochs"] == 0

    def full(self, content):
        os.truncate(self, 0)
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left"):
        Recipe(given, run=True)
    assert config.read_text() == whole


@pytest.mark.parametrize(
    ("name", "steps", "features"),
    [("psmnist", 784, 1), ("scifar10", 1024, 3), ("scifar10-small", 64, 3)],
)
def test_sequences_of_pixels(name, steps, features, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = Recipe(["--config", name, "--trainer.accelerator=cpu"], run=False).datamodule
    assert (data.steps, data.shape) == (steps, (features,))
    assert (data.order is not None) == (name == "psmnist")


CELLS = [name for name, kind in neuron_names().items() if issubclass(kind, GatedCell)]
AROUND = ["delayed", "recurrent"]
NEURONS = sorted(set(neuron_names()) - {*CELLS, *AROUND})
LOOP = "backend=reference"


@pytest.mark.parametrize("config", ["digits", "lag-task"])
@pytest.mark.parametrize(
    "text",
    [
        *(f"{name}:{LOOP}" for name in NEURONS),
        *(f"{name}:neuron=LNM:neuron.init_args.{LOOP}" for name in AROUND),
    ],
)
def test_a_recipe_takes_every_neuron(text, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if config == "digits" and text.startswith("recurrent"):
        pytest.skip("a recurrent matrix is for dense layers")
    learns(Recipe(["--config", config, *Contender.parse(text).arguments()], run=False), text)


@pytest.mark.parametrize("name", CELLS)
def test_a_recipe_takes_every_gated_cell(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learns(Recipe(["--config", "digits-gru", *Contender.parse(name).arguments()], run=False), name)


def learns(recipe, text):
    """A batch has a loss, and a gradient for all that is learned."""
    torch.manual_seed(0)
    network = recipe.model.network
    kind = Contender.parse(text).cls
    assert any(type(module) is kind for module in network.modules())
    x = 2 * torch.rand(4, 3, *network.shape)
    loss = nn.functional.cross_entropy(network(x).mean(0), torch.tensor([0, 1, 2]))
    loss.backward()
    grads = {name: p.grad for name, p in network.named_parameters()}
    assert not [name for name, grad in grads.items() if grad is None]
    assert all(torch.isfinite(grad).all() for grad in grads.values())


def test_a_neuron_in_another_ones_place_inherits_none_of_its_options():
    soft = ["--config", "spoken-digits", "--model.network.init_args.neuron=MultiTimescale"]
    neuron = Recipe(soft, run=False).model.network.body[2]
    assert isinstance(neuron.reset.value, nn.Parameter), "it has its own learned reset"
    kept = ["--config", "spoken-digits", "--model.network.init_args.neuron.tau=3"]
    neuron = Recipe(kept, run=False).model.network.body[2]
    assert isinstance(neuron.reset, SoftReset)


@pytest.mark.parametrize("name", ["lif", "plif", "qif", "lnm", "adlif"])
@pytest.mark.parametrize("config", ["psmnist-small", "sequential-digits"])
def test_a_granularity_of_the_recipe_holds_for_every_contender(config, name):
    recipe = Recipe(["--config", config, *Contender.parse(name).arguments()], run=False)
    assert {n.per for _, n in neurons_of(recipe.model.network)} == {"neuron"}


def test_what_holds_for_every_neuron_and_what_belongs_to_one():
    given = ["--config=digits", "--model.network.neuron.threshold=2"]
    given += ["--model.network.neuron.surrogate=Rectangle", "--model.network.neuron.degree=2"]

    def neuron(text):
        recipe = Recipe([*given, *Contender.parse(text).arguments()], run=False)
        return next(neurons_of(recipe.model.network))[1]

    for name in ("lif", "qif", "rational"):
        assert neuron(name).threshold == 2
        assert isinstance(neuron(name).spike, Rectangle)
    assert len(neuron("rational").c) == 4, "the degree is LNM's"
    assert neuron("lif:threshold=1").threshold == 1
    assert isinstance(neuron("lif:surrogate=Triangle").spike, Triangle)
    assert neuron("glif").threshold.requires_grad, "LNM's default is nothing that was set"


def test_the_neuron_inside_a_layer_takes_another_ones_options_too():
    contender = Contender.parse("delayed:neuron=LNM").arguments()
    network = Recipe(["--config=lag-task", *contender], run=False).model.network
    inside = next(neurons_of(network))[1]
    assert (inside.per, type(inside.spike)) == ("neuron", Rectangle)
    plain = Recipe(["--config=lag-task", *Contender.parse("lif").arguments()], run=False)
    assert next(neurons_of(plain.model.network))[1].per == "layer", "options of the one inside"


def test_data_with_time_take_no_timesteps():
    with pytest.raises(ValueError, match=r"model\.timesteps: the samples have time"):
        Recipe(["--config=sequential-digits", "--model.timesteps=8"], run=False)
