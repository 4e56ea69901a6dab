"""`neurodyn.compare`: objects and names, as the command compares them."""

import html
import json
from functools import partial

import pytest
import torch
from torch import nn

import neurodyn
from neurodyn import LIF, LNM, Learned, Neuron
from neurodyn.comparison.compare import run_comparison
from neurodyn.data import Digits, TensorData
from neurodyn.interactive import held
from neurodyn.layers import TimeDistributed
from neurodyn.training import allowed
from tests.comparison.jobs.test_local import TINY

SMALL = {"data.limit": 60, "data.validation": 30, "model.network.widths": [4]}


class Mine(Neuron):
    """A leaky neuron of a module."""

    tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, inverse=True)

    def step(self, x, u):
        return self.fire(u - u / self.tau + x)


def network(neuron, shape, classes):
    """A layer of eight neurons."""
    first, last = nn.Linear(shape[1] * shape[2], 8), nn.Linear(8, classes)
    return nn.Sequential(TimeDistributed(nn.Flatten(), first), neuron((8,)), TimeDistributed(last))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(allowed, "_named", [])


@pytest.fixture
def data():
    x = torch.randint(0, 255, (120, 1, 8, 8), dtype=torch.uint8)
    return TensorData(x, (x.float().mean((1, 2, 3)) > 127).long(), batch_size=40)


def config(result, label):
    (path,) = result.folder.glob(f"{label}/seed-0/config.yaml")
    return path.read_text()


def test_objects_of_this_process(data):
    neurons = {
        "deep": partial(LNM, degree=5),
        "mine": Mine,
        "slow": lambda features: LIF(features, tau=7.0),
    }
    before = torch.get_rng_state()
    result = neurodyn.compare(network=network, data=data, neurons=neurons, seeds=2, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert [row.split("|")[1].strip() for row in result.table.splitlines()[2:]] == [*neurons]
    assert [(run["neuron"], run["seed"]) for run in result.runs[:2]] == [("deep", 0), ("deep", 1)]
    assert " is " in result.verdict
    assert result.plot("curves")._repr_png_().startswith(b"\x89PNG")
    page = result._repr_html_()
    assert page.count("<tr>") == 4
    assert result.verdict.splitlines()[0] in page
    assert "data:image/png;base64," in page
    report = result.report().read_text()
    assert report.startswith("<!doctype html>")
    assert result.verdict.splitlines()[0] in html.unescape(report)
    assert "degree: 5" in config(result, "deep")
    assert "class_path: tests.interactive.test_compare.Mine" in config(result, "mine")
    assert "class_path: neurodyn.interactive.held.HeldNeuron" in config(result, "slow")
    slow = neurodyn.load(result.folder / "slow" / "seed-0")
    assert [neuron.tau.item() for neuron in slow.neurons.values()] == pytest.approx([7], abs=0.1)
    written = {path: path.stat().st_mtime_ns for path in result.folder.rglob("result.json")}
    again = neurodyn.compare(network=network, data=data, neurons=neurons, seeds=2, epochs=1)
    assert again.folder == result.folder
    assert {path: path.stat().st_mtime_ns for path in written} == written
    other = partial(LIF, tau=3.0, reset=lambda *_: None)
    with pytest.raises(ValueError, match="cannot import the data, the network, other, which was"):
        neurodyn.compare(network=network, data=data, neurons={"other": other}, jobs=2)


def test_that_every_run_diverged_is_said_with_the_page(tmp_path):
    wild = {"wild": "lnm:clip=none:reset=none:start=[0,0,0,1e30]"}
    said = r"every run diverged: wild, seed 0, diverged: Training stopped.*page: .*report\.html"
    with pytest.raises(ArithmeticError, match=said):
        neurodyn.compare("digits", neurons=wild, seeds=1, epochs=1, options=SMALL, out=tmp_path)
    assert "wild, seed 0, diverged" in (tmp_path / "report.html").read_text()


def test_it_is_what_the_command_trains(tmp_path):
    options = {
        name.removeprefix("--"): json.loads(value)
        for name, _, value in (argument.partition("=") for argument in TINY[1:])
    }
    result = neurodyn.compare(
        "digits", neurons=["lif"], seeds=[1], options=options, out=tmp_path / "python"
    )
    run_comparison(TINY, ["lif"], [1], tmp_path / "command")
    (one,) = result.runs
    (two,) = (json.loads(path.read_text()) for path in tmp_path.glob("command/*/*/result.json"))
    for name in ("curve", "score", "fingerprint"):
        assert one[name] == two[name]
    assert result.verdict.startswith("No verdict: it takes two neurons")


def test_a_class_that_has_changed_is_not_taken_for_the_old_one(tmp_path):
    def defined(tau):
        class Local(LIF):
            """Has no import path."""

        return partial(Local, tau=tau)

    few = {"seeds": 1, "epochs": 1, "options": SMALL}
    neurodyn.compare("digits", neurons={"local": defined(2.0)}, out=tmp_path, **few)
    neurodyn.compare("digits", neurons={"local": defined(2.0)}, out=tmp_path, **few)
    with pytest.raises(ValueError, match=r"out: .* holds runs of another local: its source has"):
        neurodyn.compare("digits", neurons={"local": defined(3.0)}, out=tmp_path, **few)


def test_an_object_of_another_process_is_missed():
    with pytest.raises(ValueError, match="'gone-1' was an object of another Python process"):
        held.HeldNeuron((3,), name="gone-1")


def test_digests_are_of_what_matters(data):
    same = TensorData(data._given["train"].x, data._given["train"].y, batch_size=40)
    other = TensorData(255 - data._given["train"].x, data._given["train"].y, batch_size=40)
    assert held.data_digest(data) == held.data_digest(same) != held.data_digest(other)
    assert held.code_digest(Mine) == held.code_digest(Mine) != held.code_digest(network)
    assert held.code_digest(partial(Mine, tau=2)) != held.code_digest(partial(Mine, tau=3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"neurons": "lif"}, "neurons: expected a list or a dictionary, got 'lif'"),
        ({"neurons": {"a@b": LIF}}, "neurons: expected a name without @, got 'a@b'"),
        ({"neurons": {"a": 3}}, "neurons: expected a name, a class or a function for a, got int"),
        ({"network": nn.Linear(1, 1)}, "network: expected a class, or a function .* got a Linear"),
        ({"data": [1, 2]}, "data: expected a name, a path, or a data module .* got list"),
        ({"data": "Nothing"}, "recipe: expected one, as the data do not say which one fits"),
        ({"recipe": "digit"}, "unknown name 'digit'. Did you mean 'digits'"),
        ({"options": {"data.limt": 3}}, "Did you mean 'limit'"),
        ({"neurons": ["lif"], "seeds": 0}, "seeds: expected at least 1, got"),
    ],
)
def test_mistakes(given, message):
    with pytest.raises(ValueError, match=message):
        neurodyn.compare(**given)


def test_names_choose_the_recipe_that_fits():
    from neurodyn.interactive.compare import Given

    def recipe(**given):
        asked = {"recipe": None, "network": None, "data": None, "epochs": None, "options": {}}
        return Given().arguments(**{**asked, **given})[0].rpartition("/")[2]

    assert recipe() == "sequential-digits.yaml"
    assert recipe(data="Digits") == recipe(data=Digits) == "images.yaml"
    assert recipe(data=Digits()) == "images.yaml"
    assert recipe(data="SequentialDigits") == "sequences.yaml"
    assert recipe(recipe="ecg", data="Digits") == "ecg.yaml"
