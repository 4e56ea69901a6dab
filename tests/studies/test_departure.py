import json

import pytest
import torch

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.run import Run
from studies import find
from studies.departure import conclude, findings, rank_correlation

RECIPE = ["--config=sequential-digits", "--data.limit=60", "--data.validation=40", "--data.pool=4"]


def finish(folder, contender, seed):
    """An untrained run, where one neuron of the first layer has left LIF."""
    run = Run(Contender.parse(contender), seed, [*RECIPE, "--model.network.widths=[4,5]"], folder)
    run.home.mkdir(parents=True)
    (run.home / "config.yaml").write_text(run.config)
    if contender.startswith("lnm"):
        with torch.no_grad():
            run.cli.model.network.body[2].c[2][1] = 2.0
    torch.save({"state_dict": run.cli.model.state_dict()}, run.home / "best.ckpt")
    result = {"score": 90.0, "neuron": contender, "seed": seed, "starts": [{"date": "2026-01-01"}]}
    (run.home / "result.json").write_text(json.dumps(result))
    return run.home


def test_what_a_layer_and_a_family_are_worth(tmp_path):
    home = finish(tmp_path, "lnm:per=neuron", 0)
    found = findings(home)
    assert list(found.layers) == ["layer 1", "layer 2"]
    assert found.layers["layer 1"].distance.argmax() == 1
    assert found.counts == {
        "layer 1, nearest LIF": 4,
        "layer 2, nearest LIF": 5,
        "layer 1, one LIF": 4,
        "layer 2, one LIF": 5,
        "LIF-like": 8,
        "QIF-like": 1,
    }
    assert set(found.lost) == set(found.counts)
    assert findings(finish(tmp_path, "lif", 0)) is None
    table = find("departure").conclude(tmp_path)
    assert "| layer 1 " in table
    assert "| QIF-like " in table
    assert (tmp_path / "study.md").read_text() == f"{table}\n"
    assert (tmp_path / "study.png").is_file()


def test_nothing_was_learned(tmp_path):
    finish(tmp_path, "lif", 0)
    with pytest.raises(FileNotFoundError, match="expected runs with learned membranes"):
        conclude(tmp_path)


def test_ranks():
    x = torch.tensor([3.0, 1.0, 2.0, 9.0])
    assert rank_correlation(x, x.exp()) == pytest.approx(1.0)
    assert rank_correlation(x, -x) == pytest.approx(-1.0)
