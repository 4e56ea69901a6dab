"""Neurons by name, and the modules that the user named."""

import sys
import types

import pytest

from neurodyn import LIF, LNM, Neuron
from neurodyn.layers import CSGRU
from neurodyn.training import allowed
from neurodyn.training.names import find_neuron, neuron_at, neuron_names, own_classes


@pytest.fixture
def own(monkeypatch):
    """A module `own` with a neuron, a class, and what it imported."""
    module = types.ModuleType("own")
    monkeypatch.setitem(sys.modules, "own", module)
    monkeypatch.setattr(allowed, "_named", ["own"])
    for name, base in (("Two", Neuron), ("LIF", LIF), ("Other", object)):
        setattr(module, name, type(name, (base,), {"__module__": "own"}))
    module.LNM, module.Neuron = LNM, Neuron
    return module


def test_names_of_own_neurons_are_paths(own):
    assert neuron_names()["own.Two"] is own.Two
    assert neuron_names()["lif"] is LIF
    assert {key for key in neuron_names() if "." in key} == {"own.Two", "own.LIF"}
    assert own_classes(object) == {f"own.{n}": vars(own)[n] for n in ("Two", "LIF", "Other")}


def test_find(own):
    assert find_neuron("two") == find_neuron("own.two") == ("own.Two", own.Two)
    assert find_neuron("LIF") == ("lif", LIF), "a bare name of ours is ours"
    assert find_neuron("own.LIF") == ("own.LIF", own.LIF)
    assert find_neuron("own.LNM") == find_neuron("neurodyn.LNM") == ("lnm", LNM)
    for path in ("own.Other", "own.Neuron", "neurodyn.neurons.HardReset"):
        with pytest.raises(ValueError, match=f"x: expected a neuron, .*got {path}, "):
            find_neuron(path, "x")
    for path in ("os.getpid", "torch.nn.Linear", "owner.Two"):
        with pytest.raises(ValueError, match=f"x: importing '{path}' is not allowed"):
            find_neuron(path, "x")


def test_neuron_at_imports_nothing(own):
    assert neuron_at("own.LIF") is own.LIF
    for path in ("LIF", "lif", "neurodyn.LIF", "neurodyn.neurons.lif.LIF"):
        assert neuron_at(path) is LIF
    assert neuron_at("neurodyn.layers.CSGRU") is CSGRU
    for path in ("own.Other", "own.Nothing", "antigravity.LIF", "Nothing", ""):
        assert neuron_at(path) is None
    assert "antigravity" not in sys.modules


def test_how_to_allow_names_a_module_that_lies_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert allowed.how_to_allow("mine.Net").endswith("--import MODULE")
    (tmp_path / "mine.py").touch()
    (tmp_path / "rooms").mkdir()
    assert allowed.how_to_allow("mine.Net").endswith("--import mine")
    assert allowed.how_to_allow("rooms.b.Net").endswith("--import rooms")
