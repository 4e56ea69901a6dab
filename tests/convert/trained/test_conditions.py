"""Which networks the theorem covers, and why not the others."""

from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.convert import compare_unfolded, unfold
from neurodyn.convert.trained.conditions import check_convertible
from neurodyn.layers import CSGRU, Recurrent, TimeDistributed
from neurodyn.models import ConvNet, ResNet9, SequenceNet, Spikformer
from neurodyn.models.spikformer import Residual
from neurodyn.neurons import (
    ALIF,
    IF,
    KLIF,
    LIF,
    LNM,
    QIF,
    AdLIF,
    CubaLIF,
    DecayLIF,
    Modal,
    SpikingLayer,
)

soft = partial(LIF, reset="soft")


class Twice(LIF):
    """A subclass with another step."""

    def integrate(self, x, u):
        return super().integrate(x, u) + u * u


class Mine(SpikingLayer):
    pass


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (LIF(), "'the network', LIF, .* HardReset forgets how far the membrane was above"),
        (nn.Sequential(nn.Linear(2, 2), IF(reset="smooth")), "'1', IF, .* SmoothReset forgets"),
        (nn.Sequential(LIF(reset="none")), "NoReset forgets"),
        (SequenceNet(LNM), "'body.2', LNM, .* its membrane is not linear in its input"),
        (ConvNet(partial(QIF, reset="soft")), "'body.1.neuron', QIF, .* not linear in its input"),
        (KLIF(reset="soft"), "not linear in its input"),
        (ALIF(reset="soft"), "what it has fired changes its threshold"),
        (AdLIF(), "what it has fired changes its threshold"),
        (CubaLIF(reset="soft"), "it has the states u, i; expected the membrane alone"),
        (Modal((4,)), "it has the states .* expected the membrane alone"),
        (Twice(reset="soft"), "not known to be linear .* IF, LIF, PLIF or DecayLIF themselves"),
        (Recurrent(4), "'neuron', LIF, .* HardReset forgets"),
        (CSGRU(3, 4), "its gates multiply"),
        (Mine(), "expected IF, LIF, PLIF or DecayLIF, or Delayed or Recurrent around"),
        (nn.Linear(2, 2), "expected a network with IF or LIF neurons, got none"),
        (ResNet9(soft), "'body.1.0.1', MaxPool2d, lies between neurons"),
        (Spikformer(soft, channels=32, depth=1, heads=4), "MaxPool2d, lies between neurons"),
        (nn.Sequential(soft(), nn.ReLU(), soft()), "'1', ReLU, lies between neurons"),
        (nn.Sequential(soft(), nn.LayerNorm(3), soft()), "'1', LayerNorm, lies between neurons"),
        (
            nn.Sequential(soft(), nn.BatchNorm1d(3, track_running_stats=False), soft()),
            "'1', BatchNorm1d, lies between neurons and is not linear",
        ),
    ],
)
def test_what_fails_is_named(network, message):
    with pytest.raises(ValueError, match=f"trained: .*{message}"):
        unfold(network)


@pytest.mark.parametrize(
    "network",
    [
        SequenceNet(DecayLIF),
        ConvNet(soft),
        Residual(nn.Sequential(nn.Linear(4, 4), soft())),
        nn.Sequential(nn.ReLU(), nn.LayerNorm(4), soft(), nn.Dropout(), nn.Linear(4, 3), nn.ReLU()),
        nn.Sequential(soft(), TimeDistributed(nn.AvgPool1d(2), nn.Flatten()), soft()),
        soft(),
        Recurrent(4, neuron=soft),
    ],
    ids=["sequence", "maps", "residual", "bends outside", "pools", "alone", "recurrent"],
)
def test_what_is_covered(network):
    check_convertible(network)


def test_spikes_may_be_added():
    net = nn.Sequential(soft((4,)), Residual(nn.Sequential(nn.Linear(4, 4), soft((4,))))).eval()
    x = 3 * torch.rand(9, 2, 4)
    report = compare_unfolded(net, unfold(net, steps=99), [x])
    assert report.exact
    assert report.total.most > 9
