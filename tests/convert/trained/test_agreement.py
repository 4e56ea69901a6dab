"""The report on a trained network and its twin, against numbers by hand."""

import pytest
import torch
from torch import nn

from neurodyn.convert import compare_unfolded, measured_bound, unfold
from neurodyn.convert.trained.agreement import percent
from neurodyn.layers import Delayed, Recurrent
from neurodyn.models import SequenceNet
from neurodyn.neurons import IF
from tests.convert.trained.networks import SOFT


def net():
    """One neuron per input, one output per neuron."""
    made = nn.Sequential(IF((3,), reset="soft"), nn.Linear(3, 2, bias=False))
    made[1].weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    return made


X = torch.tensor(
    [
        [[0.5, 2.5, 0.0], [1.0, 0.0, 0.0]],
        [[0.6, 0.6, 0.0], [0.0, 0.0, 0.9]],
    ]
)
"""Two steps of two samples: graded spikes 0 + 1, 2 + 1, 0; and 1 + 0, 0, 0."""


def test_graded():
    report = compare_unfolded(net(), unfold(net(), steps=4), [(X, torch.tensor([1, 1]))])
    (layer,) = report.layers
    assert (layer.neurons, layer.most, layer.copies, layer.fired) == (3, 3, 12, 4)
    assert (layer.before, layer.after, layer.pairs, layer.first, layer.counts) == (5, 5, 6, 6, 6)
    assert (report.neurons, report.bound, report.synapses) == (3, 9, 3 + 6)
    assert (report.synapses_after, report.lateral) == (12 + 24, 0)
    assert report.exact
    # Binary: 0 + 1 and 1 + 1 spikes of the first sample, whose classes differ by 1 too.
    assert report.right == {"trained": 1, "reference": 1, "twin": 1}
    page = str(report)
    assert "theorem allows N n = 3 x 3 = 9" in page
    assert "3 before, 12 after, of which 4 fire" in page
    assert "100.00 % of first spikes, 100.00 % of spike counts, 100.00 % of answers" in page
    assert "as trained 50.00 %, graded 50.00 %, twin 50.00 %" in page
    assert "changes it by +0.00 points" in page


def test_binary_has_fewer_spikes():
    report = compare_unfolded(net(), unfold(net(), steps=4, emission="binary"), [X])
    (layer,) = report.layers
    assert (layer.before, layer.after) == (4, 5)
    assert (layer.first, layer.counts, layer.most) == (6, 5, 3)
    assert report.counts == pytest.approx(5 / 6)
    assert report.difference == 1
    assert not report.exact
    assert not report.right
    assert "Accuracy" not in str(report)
    assert "ran with binary emission" in str(report)


def test_batches_may_come_from_a_generator():
    twin = unfold(net(), steps=4)
    batches = ((X[:, i : i + 1], torch.tensor([1])) for i in range(2))
    report = compare_unfolded(net(), twin, batches)
    assert (report.samples, report.answers, report.neurons) == (2, 2, 3)
    assert report.fired == 4
    assert report.synapses == 9


def test_answers_of_ones_own():
    twin = unfold(net(), steps=4)
    report = compare_unfolded(net(), twin, [X], answer=lambda outputs: outputs.argmax(-1))
    assert report.answers == 4
    assert report.classes == 1


def test_the_class_is_of_the_largest_mean():
    silent = torch.zeros(2, 1, 3)
    found = []
    report = compare_unfolded(
        net(),
        unfold(net(), steps=4),
        [(silent, torch.tensor([0]))],
        answer=lambda outputs: found.append(outputs) or outputs.mean(0).argmax(-1),
    )
    assert report.right["twin"] == 1
    assert len(found) == 3
    default = compare_unfolded(net(), unfold(net(), steps=4), [(silent, torch.tensor([0]))])
    assert default.right == report.right


def test_the_twin_of_another_network():
    other = nn.Sequential(nn.Linear(3, 3), IF(reset="soft"))
    with pytest.raises(ValueError, match=r"expected the twin of this network, .* copies of 1"):
        compare_unfolded(net(), unfold(other), [X])
    with pytest.raises(ValueError, match="trained: '0', IF, has no single-spike copies"):
        compare_unfolded(nn.Sequential(IF()), unfold(net()), [X])


def test_recurrent_networks_are_compared_and_their_synapses_counted():
    def layer(shape):
        return Recurrent(shape, neuron=SOFT["LIF"], gain=0.5)

    net = SequenceNet(layer, (5,), classes=3, widths=(8, 6), gain=2.0)
    x = torch.randn(20, 4, 5)
    for _ in range(5):
        net(x)
    bound = measured_bound(net, [x])
    report = compare_unfolded(net, unfold(net, bound=bound), [x])
    assert report.exact
    assert report.total.before > 100
    assert report.synapses == 5 * 8 + 8 * 7 + 8 * 6 + 6 * 5 + 6 * 3
    (_, a), (_, b) = bound.items()
    own = [int(c.sum() ** 2 - (c**2).sum()) for c in (a, b)]
    between = 5 * a.sum() + a.sum() * b.sum() + 3 * b.sum()
    assert report.synapses_after == between + sum(own)


def test_delays_are_compared_too():
    delayed = nn.Sequential(Delayed(3, order=4, neuron=SOFT["LIF"])).eval()
    x = 3 * torch.rand(20, 2, 3)
    report = compare_unfolded(delayed, unfold(delayed, steps=200), [x])
    assert report.exact
    assert report.total.before > 50


def test_hundred_percent_is_all():
    assert (percent(1), percent(0.999999), percent(0.5), percent(0)) == (
        *("100.00", "99.99", "50.00", "0.00"),
    )
