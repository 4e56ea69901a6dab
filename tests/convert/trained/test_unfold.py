"""A trained network and its single-spike twin."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.convert import compare_unfolded, measured_bound, unfold
from neurodyn.convert.trained.copies import CopyLayer
from neurodyn.layers import padded
from neurodyn.models import ConvNet, SequenceNet
from neurodyn.neurons import LIF, DecayLIF, neurons_of
from tests.convert.trained.networks import SOFT, digits, trained


@pytest.mark.parametrize("name", SOFT)
def test_a_trained_network_and_its_twin_agree_in_every_spike(name):
    """On scikit-learn's digits, with the bounds that its test samples need."""
    net, (_, test) = trained(name), digits()
    bound = measured_bound(net, test)
    report = compare_unfolded(net, unfold(net, bound=bound), test)
    assert report.exact
    assert report.difference == 0
    assert report.samples == 360
    assert report.accuracy("reference") == report.accuracy("twin") > 0.93
    assert report.accuracy("trained") > 0.93
    total = report.total
    assert total.before == total.after > 1000
    assert total.most > 8  # More than one spike in a step.
    assert report.copies == report.fired == sum(int(b.sum()) for b in bound.values())
    assert report.copies < report.bound == total.most * 80


@pytest.mark.parametrize("name", ["LIF", "DecayLIF"])
def test_networks_of_the_package(name):
    # Neurons with kernels of their own numbers; maps large enough to fold their norm.
    net = SequenceNet(SOFT[name], shape=(3, 2), classes=4, widths=(20, 16), gain=3.0)
    x = torch.randn(15, 9, 3, 2)
    for _ in range(5):
        net(torch.randn(15, 9, 3, 2))
    assert compare_unfolded(net, unfold(net, steps=200), [x]).exact
    net = ConvNet(SOFT[name], widths=(4, 8), dropout=0.5)
    for _ in range(5):
        net(torch.randn(6, 9, 1, 8, 8))
    x = torch.randn(6, 9, 1, 8, 8)
    report = compare_unfolded(net, unfold(net, steps=200), [x, x[:, :3]])
    assert report.exact
    assert report.samples == 12


def test_the_trained_network_is_left_alone():
    net = nn.Sequential(nn.Linear(3, 4), LIF((4,), reset="soft"), nn.Linear(4, 2)).train()
    before = copy.deepcopy(net.state_dict())
    twin = unfold(net)
    compare_unfolded(net, twin, [torch.randn(5, 2, 3)])
    measured_bound(net, [torch.randn(5, 2, 3)])
    assert isinstance(net[1], LIF)
    assert (net[1].emission, net[1].backend, net.training) == ("binary", "auto", True)
    assert before.keys() == net.state_dict().keys()
    assert not twin.training
    assert isinstance(twin.network[1], CopyLayer)
    assert "bound=16" in repr(twin)


def test_a_layer_that_is_called_twice_is_one_layer_of_copies():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = LIF((4,), reset="soft")

        def forward(self, x):
            return self.second(3 * self.first(x))

    net = Shared()
    twin = unfold(net, steps=100)
    assert twin.network.first is twin.network.second
    assert list(twin.copies) == ["first"]
    net.first.emission, net.first.backend = "graded", "reference"
    x = 3 * torch.rand(8, 2, 4)
    assert torch.equal(twin(x), net(x))


def test_a_single_neuron_has_a_twin():
    twin = unfold(DecayLIF(threshold=0.2), steps=100)
    assert twin(torch.ones(5, 2, 3)).any()


def test_padding_is_left_out_as_in_the_trained_network():
    net = SequenceNet(SOFT["LIF"], shape=(6,), classes=3, widths=(12, 10), gain=2.0)
    x, lengths = torch.randn(20, 8, 6), torch.randint(5, 20, (8,))
    with padded(lengths, 20):
        net(x)
    batches = [(x, torch.zeros(8, dtype=torch.int64), lengths)]
    bound = measured_bound(net, batches)
    report = compare_unfolded(net, unfold(net, bound=bound), batches)
    assert report.exact
    valid = torch.arange(20)[:, None] < lengths
    graded = copy.deepcopy(net).eval()
    for _, neuron in neurons_of(graded):
        neuron.emission = "graded"
    spikes = []
    graded.body[2].register_forward_hook(lambda _, given, out: spikes.append(out))
    with padded(lengths, 20):
        graded(x)
    assert report.layers[0].before == int(spikes[0][valid].sum())


def test_bounds_by_layer():
    net = nn.Sequential(*[nn.Linear(3, 4), LIF((4,), reset="soft")] * 1, LIF((4,), reset="soft"))
    twin = unfold(net, steps=9, bound={"1": torch.tensor([1, 2, 3, 4])})
    assert twin.copies["1"].bound.tolist() == [1, 2, 3, 4]
    assert twin.copies["2"].bound.item() == 9


def test_more_spikes_than_copies_is_an_error():
    net, (_, test) = trained("LIF"), digits()
    with pytest.raises(ValueError, match=r"neuron \(\d+,\) of '1' has the bound 2 and fires"):
        compare_unfolded(net, unfold(net, steps=2), test)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"emission": "several"}, "emission: unknown name 'several'"),
        ({"bound": {"3": 2}}, "bound: unknown name '3'. .*Known: 1"),
        ({"bound": -1}, "bound of '1': expected whole numbers, 0 or more, got -1"),
        ({"bound": 1.5}, "bound of '1': expected whole numbers, 0 or more, got 1.5"),
    ],
)
def test_mistakes(options, message):
    net = nn.Sequential(nn.Linear(3, 4), partial(LIF, reset="soft")((4,)))
    with pytest.raises(ValueError, match=message):
        unfold(net, **options)


def test_no_batches():
    net = LIF(reset="soft")
    with pytest.raises(ValueError, match="batches: expected at least one batch, got none"):
        measured_bound(net, [])
    with pytest.raises(ValueError, match="batches: expected at least one batch, got none"):
        compare_unfolded(net, unfold(net), [])
