import pytest
import torch

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.families import FAMILIES, Families, changes, mean_shares, plot_families
from neurodyn.comparison.run import Run
from neurodyn.models import ConvNet
from neurodyn.neurons import LNM
from studies import STUDIES, contenders_of


@pytest.mark.parametrize("name", [name for name, contenders in STUDIES.items() if contenders])
def test_every_entrant_of_a_study_is_possible(name, tmp_path):
    recipe = "sequential-digits" if name == "degree-long" else "digits"
    for text in contenders_of(name):
        Run(Contender.parse(text), 0, [f"--config={recipe}"], tmp_path).check()


def test_options_of_the_recipe_are_an_entrants_too():
    contender = Contender.parse("lnm:degree=2:model.timesteps=8")
    neuron = "--model.network.init_args.neuron"
    assert contender.arguments()[1:] == [f"{neuron}.degree=2", "--model.timesteps=8"]


def test_a_transplant_starts_from_what_was_learned(tmp_path):
    source, weights = tmp_path / "seed-0", {}
    source.mkdir()
    for layer, c in enumerate(([0.0, -1.0, 0.5], [0.2, -1.0, 0.25])):
        for k, value in enumerate(c):
            weights[f"network.body.{layer}.c.{k}"] = torch.tensor(value)
    torch.save({"state_dict": weights}, source / "best.ckpt")
    start = "lnm:degree=2:start=[0.1000,-1.0000,0.3750]"
    moved = [f"transplanted@{start}", f"transplanted-fixed@{start}:learn=false"]
    assert contenders_of("transplant", source) == ["lif", "lnm", *moved]
    Run(Contender.parse(start), 0, ["--config=digits"], tmp_path).check()
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, source / "best.ckpt")
    with pytest.raises(ValueError, match="source: expected the coefficients of an LNM"):
        contenders_of("transplant", source)


def test_studies_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"Did you mean 'degree'"):
        contenders_of("degre")
    with pytest.raises(ValueError, match=r"source: expected .* got None for 'transplant'"):
        contenders_of("transplant")
    with pytest.raises(ValueError, match=r"source: expected .* for 'clip'"):
        contenders_of("clip", tmp_path)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_families_over_training(per):
    model, log = ConvNet(lambda f: LNM(f, per=per), widths=(2, 3)), Families()
    log._note(model)
    with torch.no_grad():
        model.body[1].neuron.c[2].flatten()[0].fill_(2.0)
    log._note(model)
    first, second = log.history.values()
    assert [entry["families"] for entry in second] == [{"LIF-like": 1.0}] * 2
    assert first[0]["families"] == {"LIF-like": 1.0}
    left = 1.0 if per == "layer" else 0.5
    assert first[1]["families"].get("LIF-like", 0.0) == 1 - left
    assert first[1]["families"]["QIF-like"] == left
    assert first[1]["parameters"]["c.2"] == 2.0 * left
    again = Families()
    again.load_state_dict(log.state_dict())
    assert again.history == log.history
    figure = plot_families(log.history)
    assert [axis.get_ylabel() for axis in figure.axes] == ["layer 1", "layer 2"]
    areas = {area.get_label(): area for area in figure.axes[0].collections}
    assert list(areas) == ["LIF-like", "QIF-like"], "from the plain to the exotic"
    bounds = areas["QIF-like"].get_datalim(figure.axes[0].transData)
    assert (bounds.y0, bounds.y1) == (1 - left, 1.0)
    assert set(FAMILIES) >= set(areas)


def test_shares_over_runs():
    one = {"body.1": [{"families": {"LIF-like": 1.0}}, {"families": {"LIF-like": 1.0}}]}
    two = {"body.1": [{"families": {"LIF-like": 1.0}}, {"families": {"bistable": 1.0}}]}
    shares = mean_shares([one, two])
    assert shares == {"body.1": [{"LIF-like": 1.0}, {"LIF-like": 0.5, "bistable": 0.5}]}
    assert changes(shares)
    assert not changes(mean_shares([one, one]))
