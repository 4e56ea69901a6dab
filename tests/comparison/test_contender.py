import pytest

from neurodyn.comparison.contender import Contender


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


def test_one_contender_has_one_label():
    assert Contender.parse("LNM:degree=2").label == Contender.parse("lnm:degree=2").label
    assert Contender.parse("My@LNM").label == "My"


def test_options_of_the_recipe_are_a_contenders_too():
    contender = Contender.parse("lnm:degree=2:model.timesteps=8")
    neuron = "--model.network.init_args.neuron"
    assert contender.arguments()[1:] == [f"{neuron}.degree=2", "--model.timesteps=8"]
