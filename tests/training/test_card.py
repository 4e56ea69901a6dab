"""Model cards: what they say, and that a model is loaded from them to the bit."""

import json

import pytest
import torch
import yaml

import neurodyn
from neurodyn.training.card import _config, _modules, write_card, write_cards
from tests.training.own import FileDigits


@pytest.fixture
def run(comparison):
    home = comparison / "lnm+degree=2" / "seed-0"
    return neurodyn.load(home, imports=["tests.training.own"])


def test_a_card_is_loaded_to_the_bit(run, tmp_path):
    folder = write_card(run, tmp_path / "card")
    again = neurodyn.load(folder)
    for name, value in run.network.state_dict().items():
        other = again.network.state_dict()[name]
        assert value.dtype == other.dtype
        assert torch.equal(value, other)
    images, _ = FileDigits().read(train=False)
    assert torch.equal(run.predict(images).scores, again.predict(images).scores)
    assert again.metrics == run.metrics
    assert again.targets == run.targets
    assert again.saved.epoch == run.saved.epoch
    twice = write_card(again, tmp_path / "twice")
    for name in ("model.safetensors", "run.json", "config.yaml"):
        assert (twice / name).read_bytes() == (folder / name).read_bytes()


def test_front_matter_and_sections(run, tmp_path):
    text = (write_card(run, tmp_path, "apache-2.0") / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    found = yaml.safe_load(front)
    assert found["license"] == "apache-2.0"
    assert found["library_name"] == "neurodyn"
    (model,) = found["model-index"]
    assert model["name"] == "digits-lnm+degree=2-seed-0"
    (result,) = model["results"]
    assert result["dataset"]["split"] == "test"
    assert result["metrics"][0] == {
        "type": "accuracy",
        "value": round(run.metrics["accuracy"], 4),
    }
    for section in ("Use", "Task and data", "Results", "Neurons", "Provenance", "Limits"):
        assert f"## {section}\n" in body
    start = run.saved.result["starts"][0]
    for fact in (
        *(f"neurodyn {neurodyn.__version__}", start["date"], f"Seed 0, epoch {run.saved.epoch}."),
        *(
            "`body.1.neuron`: LNM(",
            "Triangle(width=1), HardReset(value=0)\n",
            "(N, 1, 8, 8), uint8",
            "It needs the author's `tests.training.own`.",
            'neurodyn.load("FOLDER", imports=["tests.training.own"])',
            "limit=200",
        ),
        *("Trained on 200 samples only", f"Parameters: {run.parameters:,}"),
    ):
        assert fact in body, fact
    assert "No licence was given" not in body


def test_modules_that_a_card_needs():
    ours = {"class_path": "neurodyn.models.ConvNet", "init_args": {"shape": [1, 8, 8]}}
    assert _modules([ours, {"class_path": "torch.nn.ReLU"}]) == []
    ours["init_args"]["neuron"] = {"class_path": "mine.more.TwoState"}
    assert _modules([ours, {"class_path": "data.Mine"}, {"class_path": "data.B"}]) == [
        "data",
        "mine.more",
    ]


def test_what_is_not_known_is_said_so(run, tmp_path):
    run.saved.result, run.saved.val_score = {}, None
    text = (write_card(run, tmp_path) / "README.md").read_text()
    assert "model-index" not in text
    for fact in ("None were measured", "no measurement on a test set", "No licence was given"):
        assert fact in text
    assert "has no record of versions" in text
    assert neurodyn.load(tmp_path).metrics == {}


def test_a_card_does_not_say_where_it_was_made(comparison, tmp_path):
    home = comparison / "lnm+degree=2" / "seed-0"
    run = neurodyn.load(home, imports=["tests.training.own"], data={"root": "/home/me/secret"})
    run.config["data"]["init_args"]["root"] = "/home/me/secret"
    run.config["trainer"]["default_root_dir"] = "/home/me/secret"
    folder = write_card(run, tmp_path)
    for path in folder.iterdir():
        assert b"secret" not in path.read_bytes(), path
    assert str(comparison) not in (folder / "config.yaml").read_text()


def test_the_path_of_own_data_is_a_name():
    config = {"model": {}, "data": {"init_args": {"path": "/home/me/secret/images"}}}
    assert _config(config)["data"]["init_args"] == {"path": "images"}


def test_several_cards_and_their_table(run, tmp_path):
    *cards, table = write_cards([run], tmp_path / "assets")
    assert [card.name for card in cards] == ["digits-lnm+degree=2-seed-0"]
    text = table.read_text()
    assert f"accuracy {run.metrics['accuracy']:.2f} %" in text
    assert "(digits-lnm+degree=2-seed-0/README.md)" in text
    with pytest.raises(ValueError, match="run: expected different ones, got two"):
        write_cards([run, run], tmp_path / "more")
    with pytest.raises(FileNotFoundError, match="Choose one of its runs"):
        neurodyn.load(tmp_path / "assets")


def test_damaged_cards(run, tmp_path):
    folder = write_card(run, tmp_path)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(ValueError, match=r"model\.safetensors: expected safetensors"):
        neurodyn.load(folder)
    weights.write_bytes(whole)
    notes = json.loads((folder / "run.json").read_text())
    for content, what in (
        ("{", "expected JSON"),
        ("[]", "expected an object"),
        (json.dumps({**notes, "data": 3}), "'data'"),
        (json.dumps({**notes, "result": [1]}), "'result'"),
    ):
        (folder / "run.json").write_text(content)
        with pytest.raises(ValueError, match=rf"run\.json: .*{what}"):
            neurodyn.load(folder)
    (folder / "run.json").write_text(json.dumps({**notes, "data": {"FileDigits": 3}}))
    assert neurodyn.load(folder).classes  # It says all by itself, and keeps no state.
    (folder / "run.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected run\.json beside"):
        neurodyn.load(folder)
