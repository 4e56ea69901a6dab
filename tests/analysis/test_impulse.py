import torch

from neurodyn.analysis.impulse import plot_impulse
from neurodyn.neurons import IF, Planar


def texts(figure):
    return [axis.texts[0].get_text() for axis in figure.axes]


def test_some_neurons_in_the_order_of_their_periods():
    periods = torch.tensor([40.0, 10.0, 30.0, 20.0, 5.0])
    neuron = Planar((5,), tau=[50.0], period=periods)
    figure = plot_impulse(neuron, rows=3, title="layer 1, 5 neurons")
    rows = texts(figure)
    assert [row.partition("\n")[0] for row in rows] == ["period 5.0", "period 20", "period 40"]
    assert rows[0].endswith("time constant 50")
    assert not figure.legends[0].get_texts()


def test_the_same_neurons_before():
    figure = plot_impulse(Planar((9,)), Planar((9,)), rows=4, steps=30)
    assert len(figure.axes) == 4
    labels = [line.get_label() for line in figure.axes[0].lines if len(line.get_xdata()) == 30]
    assert labels == ["before learning", "after learning"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == labels


def test_a_membrane_that_keeps_everything():
    assert texts(plot_impulse(IF())) == ["does not decay"]
