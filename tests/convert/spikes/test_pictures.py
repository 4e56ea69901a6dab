import numpy as np
import pytest
import torch

from neurodyn.convert import multi_spike, single_spike
from neurodyn.convert.spikes.pictures import (
    plot_conversion,
    plot_levels,
    plot_neurons,
    potential,
)
from tests.convert import nets
from tests.convert.nets import network, spikes, wired


def test_neurons_needed():
    left, right = plot_neurons(100).axes
    counts = {line.get_label(): line.get_ydata()[-1] for line in left.lines}
    assert counts["that fire once: N"] == 100
    assert counts["that fire many times: Q(N)"] == 61
    assert "0.610" in right.get_title()


def test_a_dot_where_the_potential_crosses_each_level():
    net, until = network("LIF")
    inputs = spikes(6, 0)
    neuron = int(net(inputs, until).counts(0).argmax())
    top, bottom = plot_levels(net, inputs, until, neuron=neuron).axes
    dots = next(line for line in top.lines if line.get_marker() == "o")
    h = potential(net, inputs, until, 0, neuron, dots.get_xdata())
    np.testing.assert_allclose(h, dots.get_ydata(), atol=1e-9)
    theta = float(net.thresholds[0].detach()[neuron])
    assert bottom.lines[0].get_ydata().max() < theta
    assert len(dots.get_xdata()) == net(inputs, until).counts(0)[neuron] > 3
    with pytest.raises(ValueError, match="net: expected neurons that fire many times"):
        plot_levels(single_spike(net, 3), inputs, until)


def test_the_potential_has_delays_and_recurrence():
    net, inputs = wired(), spikes(6, 0)
    trains = [inputs.numpy(), *(t.detach().numpy() for t in net(inputs, 60.0).layers)]
    at = np.linspace(0, 60, 50)
    expected = nets.potential("LIF", net, 0, 2, at, trains)
    np.testing.assert_allclose(potential(net, inputs, 60.0, 0, 2, at), expected, atol=1e-9)


def test_every_spike_is_drawn_before_and_after():
    net, until = network("LIF")
    inputs = spikes(6, 0)
    once = net.converted(net.copies, None, once=True)
    for before, after in (
        (net, single_spike(net, net.bound(inputs, until))),
        (once, multi_spike(once, once.bound(inputs, until))),
    ):
        figure = plot_conversion(before, after, inputs, until)
        for axes, each in zip(figure.axes, (before, after), strict=True):
            marks = [line for line in axes.lines if line.get_linestyle() == "None"]
            assert sum(len(line.get_xdata()) for line in marks) == each(inputs, until).spikes
            assert str(each.neurons) in axes.get_title()
            assert torch.is_tensor(each(inputs, until)[0])
