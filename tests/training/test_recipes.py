"""Every recipe that comes with the package is read and built; none needs its data for that."""

import pytest
from torch import nn

from neurodyn.neurons import SoftReset
from neurodyn.training.entrant import Entrant
from neurodyn.training.recipe import Recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(["--config", name, "--trainer.accelerator=cpu"], run=False)
    network, data = recipe.model.network, recipe.datamodule
    assert network.shape == tuple(data.shape)
    assert recipe.model.accuracy["val"].num_classes == data.classes
    assert recipe.trainer.max_epochs > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("neuron", ["lif", "plif", "qif", "lnm:degree=5"])
def test_a_recipe_takes_every_entrant(neuron, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entrant = Entrant.parse(neuron)
    recipe = Recipe(["--config", "cifar10-small", *entrant.arguments()], run=False)
    assert any(type(module) is entrant.cls for module in recipe.model.network.modules())


def test_a_neuron_in_another_ones_place_inherits_none_of_its_options():
    soft = ["--config", "spoken-digits", "--model.network.init_args.neuron=MultiTimescale"]
    neuron = Recipe(soft, run=False).model.network.body[2]
    assert isinstance(neuron.reset.value, nn.Parameter), "it has its own learned reset"
    kept = ["--config", "spoken-digits", "--model.network.init_args.neuron.tau=3"]
    neuron = Recipe(kept, run=False).model.network.body[2]
    assert isinstance(neuron.reset, SoftReset)
