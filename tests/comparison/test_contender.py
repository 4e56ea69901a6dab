import sys
import types

import pytest

from neurodyn import Neuron
from neurodyn.comparison.arguments import refuse_own
from neurodyn.comparison.contender import Contender
from neurodyn.training import allowed


def test_neurons_by_name():
    contender = Contender.parse("LNM:degree=5:surrogate.width=derived")
    assert contender.cls.__name__ == "LNM"
    assert contender.arguments()[1:] == [
        "--model.network.init_args.neuron.degree=5",
        "--model.network.init_args.neuron.surrogate.width=derived",
    ]
    assert Contender.parse("spikgru2:signed=true").arguments() == [
        "--model.network.init_args.cell=neurodyn.layers.gated.SpikGRU2",
        "--model.network.init_args.cell.signed=true",
    ]
    named = Contender.parse("short@lif:model.timesteps=1")
    assert (named.label, named.folder) == ("short", "short")
    assert named.arguments()[1:] == ["--model.timesteps=1"]
    for text in ("@lif", "short@"):
        with pytest.raises(ValueError, match="neurons: expected label@name:option=value, got"):
            Contender.parse(text)
    with pytest.raises(ValueError, match=r"neurons: unknown name 'lmn'\. Did you mean 'lnm'"):
        Contender.parse("lmn")
    with pytest.raises(ValueError, match="expected name:option=value, got 'degree'"):
        Contender.parse("lnm:degree")


def test_frozen_dynamics():
    contender = Contender.parse("planar:frozen")
    assert contender.label == "planar:frozen"
    assert contender.arguments()[1:] == ["--model.network.init_args.neuron.learn=false"]
    with pytest.raises(ValueError, match="neurons: only the dynamics of a neuron are frozen, got"):
        Contender.parse("delayed:frozen")


def test_one_contender_has_one_label():
    assert Contender.parse("LNM:degree=2").label == Contender.parse("lnm:degree=2").label
    assert Contender.parse("My@LNM").label == "My"


def test_options_of_the_recipe_are_a_contenders_too():
    contender = Contender.parse("lnm:degree=2:model.timesteps=8")
    neuron = "--model.network.init_args.neuron"
    assert contender.arguments()[1:] == [f"{neuron}.degree=2", "--model.timesteps=8"]


def test_a_neuron_of_the_users_module(monkeypatch):
    module = types.ModuleType("own.rooms")
    monkeypatch.setitem(sys.modules, "own.rooms", module)
    monkeypatch.setattr(allowed, "_named", ["own.rooms"])
    module.Two = type("Two", (Neuron,), {"__module__": "own.rooms"})
    for text in ("own.rooms.Two:per=neuron", "own.rooms.two:per=neuron", "two:per=neuron"):
        contender = Contender.parse(text)
        assert contender.label == "own.rooms.Two:per=neuron"
    assert contender.folder == "own.rooms.Two+per=neuron"
    assert contender.arguments() == [
        "--model.network.init_args.neuron=own.rooms.Two",
        "--model.network.init_args.neuron.per=neuron",
    ]
    monkeypatch.setattr(allowed, "_named", [])
    with pytest.raises(ValueError, match=r"neurons: importing 'own.rooms.Two' is not allowed"):
        Contender.parse("own.rooms.Two")
    with pytest.raises(ValueError, match="neuron: unknown name 'two'"):
        Contender.parse("two", "neuron")


def test_the_path_of_a_neuron_of_ours_is_its_name():
    for path in ("neurodyn.LIF", "neurodyn.neurons.LIF", "neurodyn.neurons.lif.LIF", "LIF"):
        assert Contender.parse(f"{path}:tau=3").label == "lif:tau=3"


def test_what_a_comparison_sets_itself():
    refuse_own([])
    refuse_own(["--trainer.enable_progress_bar=False", "--trainer.num_sanity_val_steps", "0"])
    refuse_own(["--model.network.neuron.neuron=LNM", "--model.network.neuron.per", "neuron"])
    refuse_own(["--trainer.callbacks+=EMAWeightAveraging"])
    for given in ("--seed_everything", "--checkpoint.monitor", "--trainer.logger"):
        with pytest.raises(ValueError, match=f"{given}: a comparison sets this itself"):
            refuse_own([given, "1"])
