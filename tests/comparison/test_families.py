import pytest
import torch

from neurodyn.comparison.families import FAMILIES, Families, changes, mean_shares, plot_families
from neurodyn.models import ConvNet
from neurodyn.neurons import LNM, Planar


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


def test_neurons_that_oscillate_are_in_the_picture():
    log = Families()
    model = ConvNet(lambda f: Planar(f, tau=[20.0], period=[20.0]), widths=(2,))
    log._note(model)
    log._note(model)
    figure = plot_families(log.history)
    assert [area.get_label() for area in figure.axes[0].collections] == ["oscillating"]


def test_shares_over_runs():
    one = {"body.1": [{"families": {"LIF-like": 1.0}}, {"families": {"LIF-like": 1.0}}]}
    two = {"body.1": [{"families": {"LIF-like": 1.0}}, {"families": {"bistable": 1.0}}]}
    shares = mean_shares([one, two])
    assert shares == {"body.1": [{"LIF-like": 1.0}, {"LIF-like": 0.5, "bistable": 0.5}]}
    assert changes(shares)
    assert not changes(mean_shares([one, one]))
