"""Synapses before and after, against the pairs that a brute force finds."""

from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.convert.trained.synapses import count_synapses
from neurodyn.layers import READOUTS, AvgPool2d, LearnedDelays, TimeDistributed, make_readout
from neurodyn.models import ConvNet, SequenceNet
from neurodyn.neurons import LIF, neurons_of

soft = partial(LIF, reset="soft")


def test_dense():
    net = SequenceNet(soft, shape=(2, 5), classes=3, widths=(7, 6))
    x = torch.zeros(4, 1, 2, 5)
    assert count_synapses(net, x) == 10 * 7 + 7 * 6 + 6 * 3
    copies = {"body.2": torch.arange(7), "body.5": torch.tensor([2])}
    assert count_synapses(net, x, copies) == 10 * 21 + 21 * 12 + 12 * 3


@pytest.mark.parametrize(
    "between",
    [
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
        nn.Sequential(AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1, bias=False)),
        nn.Sequential(nn.AvgPool2d((3, 2)), nn.Conv2d(2, 3, 1)),
        nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.BatchNorm2d(2), nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Unflatten(1, (6, 12)), nn.AvgPool1d(4), nn.Flatten()),
    ],
    ids=["conv", "strided groups", "pooled", "uneven pool", "adaptive", "1d"],
)
def test_pairs_of_neurons_that_are_connected(between):
    """An input reaches an output if the derivative is not zero."""
    between = between.eval()
    x = torch.randn(1, 2, 6, 6)
    out = between(x)
    jacobian = torch.autograd.functional.jacobian(between, x)
    reaches = jacobian.reshape(out.numel(), x.numel()) != 0
    before, after = torch.randint(0, 5, (2, 6, 6)), torch.randint(0, 5, out.shape[1:])
    net = nn.Sequential(soft((2, 6, 6)), TimeDistributed(between), soft(tuple(out.shape[1:])))
    pairs = float(after.flatten().double() @ reaches.double() @ before.flatten().double())
    ends = int(before.sum() + after.sum())  # One line into each neuron in front, one out behind.
    assert count_synapses(net, x[None], {"0": before, "2": after}) == pairs + ends


def test_nothing_is_left_on_the_network():
    net = ConvNet(soft)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    names = [name for name, _ in neurons_of(net)]
    count_synapses(net, torch.zeros(2, 1, 1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [name for name, _ in neurons_of(net)] == names
    assert not any(module._forward_hooks for module in net.modules())


def test_learned_delays_are_synapses():
    net = nn.Sequential(LearnedDelays(5, 4, 6), soft((4,)))
    assert count_synapses(net, torch.zeros(9, 2, 5)) == 5 * 4 + 4


@pytest.mark.parametrize("answers", READOUTS)
def test_a_readout_adds_no_synapses(answers):
    net = nn.Sequential(nn.Linear(8, 9), soft((9,)), nn.Linear(9, 3), make_readout(answers, 3))
    assert count_synapses(net, torch.zeros(4, 1, 8)) == 8 * 9 + 9 * 3


@pytest.mark.parametrize("last", [nn.Softmax(-1), nn.LayerNorm(3), nn.Tanh()])
def test_a_function_of_the_outputs_adds_no_synapses(last):
    net = nn.Sequential(nn.Linear(8, 9), soft((9,)), nn.Linear(9, 3), last)
    assert count_synapses(net, torch.zeros(4, 1, 8)) == 8 * 9 + 9 * 3
