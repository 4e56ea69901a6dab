import copy

import pytest
import torch

from neurodyn.analysis.spectrum import nearest, plot_eigenvalues, plot_modes
from neurodyn.models import SequenceNet
from neurodyn.neurons import LIF, LNM, AdLIF, Modal, Planar


def network(neuron, widths=(6, 4)):
    return SequenceNet(neuron, shape=(1,), classes=2, widths=widths)


def points(axis):
    return [line.get_xydata() for line in axis.lines if line.get_marker() == "o"]


@pytest.mark.parametrize("draw", [plot_eigenvalues, plot_modes])
def test_a_panel_per_layer(draw):
    before = network(lambda f: Planar(f, horizon=50))
    after = copy.deepcopy(before)
    figure = draw(before, after, title="planar")
    assert [axis.get_title() for axis in figure.axes] == [
        "layer 1, 6 neurons",
        "layer 2, 4 neurons",
    ]
    open_, filled = points(figure.axes[0])
    assert open_.shape == (6, 2), "one point for each pair"
    assert (open_ == filled).all()
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[-2:] == ["before learning", "after learning"]
    (alone,) = points(draw(None, after).axes[0])
    assert (alone == filled).all()


def test_points_stand_at_their_times():
    after = network(lambda f: Planar(f, tau=[20.0], period=[12.0]), widths=(3,))
    (found,) = points(plot_modes(None, after).axes[0])
    torch.testing.assert_close(
        torch.tensor(found).double().unique(dim=0).mean(0).round(decimals=3),
        torch.tensor([12.0, 20.0]).double(),
    )
    (found,) = points(plot_eigenvalues(None, after).axes[0])
    assert torch.tensor(found).norm(dim=1) == pytest.approx([0.951229] * 3, abs=1e-5)


@pytest.mark.parametrize(
    "neuron",
    [
        LIF,
        lambda f: AdLIF(f, per="neuron"),
        lambda f: Modal(f, modes=3),
        lambda f: Planar(f, oscillate=False),
        lambda f: LNM(f, per="neuron", start=(0.0, 0.2, 0.0, 0.0)),  # grows
        lambda f: LNM(f, per="neuron", start=(0.0, -2.0, 0.0, 0.0)),  # forgets at once
    ],
)
@pytest.mark.parametrize("draw", [plot_eigenvalues, plot_modes])
def test_any_neuron_can_be_drawn(neuron, draw):
    figure = draw(network(neuron), network(neuron))
    figure.canvas.draw()
    for axis in figure.axes:
        low, high = axis.get_xlim()
        bottom, top = axis.get_ylim()
        for found in points(axis):
            assert ((low <= found[:, 0]) & (found[:, 0] <= high)).all()
            assert ((bottom <= found[:, 1]) & (found[:, 1] <= top)).all()


def test_modes_that_never_turn_or_decay_have_a_strip():
    figure = plot_modes(None, network(lambda f: LNM(f, start=(0.0, 0.2, 0.0, 0.0))))
    (axis, _) = figure.axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["none"]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["never"]


def test_modes_are_matched_to_what_they_were():
    old = torch.tensor([[0.9 + 0.1j, 0.9 - 0.1j, 0.5 + 0j]])
    new = torch.tensor([[0.55 + 0j, 0.85 - 0.1j, 0.85 + 0.1j]])
    assert nearest(new, old).tolist() == [[old[0, 2].item(), old[0, 1].item(), old[0, 0].item()]]
    # The nearest alone would take .5 for .6, and leave .9 to 0.
    old, new = torch.tensor([[0.9, 0.5]]) + 0j, torch.tensor([[0.6, 0.0]]) + 0j
    assert nearest(new, old)[0].real.tolist() == pytest.approx([0.9, 0.5])


def test_both_networks_need_the_same_layers():
    with pytest.raises(ValueError, match="before: expected the layers"):
        plot_modes(network(Planar, widths=(6,)), network(Planar))
