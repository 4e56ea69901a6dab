from functools import partial

import pytest
import torch

from neurodyn.analysis import ActivityMeter
from neurodyn.layers import RESIDUAL, TDBatchNorm1d, TDBatchNorm2d, repeat
from neurodyn.models import VGGSNN, ConvNet, ResNet19, resnet19
from neurodyn.neurons import IF, LIF, LNM, PLIF, QIF, Neuron, neurons_of

SMALL = [
    partial(ConvNet, shape=(1, 8, 8), widths=(4, 6)),
    partial(VGGSNN, shape=(2, 16, 16), width=0.05),
    partial(ResNet19, shape=(3, 8, 8), width=0.05),
]


@pytest.mark.parametrize("make", SMALL)
@pytest.mark.parametrize(
    "neuron", [IF, LIF, PLIF, QIF, LNM, partial(LNM, per="channel"), partial(LNM, per="neuron")]
)
def test_any_neuron_drops_in(make, neuron):
    net = make(neuron, classes=7)
    out = net(repeat(torch.randn(3, *net.shape), 2))
    assert out.shape == (2, 3, 7)
    out.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


def test_a_neuron_of_the_users_own():
    class Mine(Neuron):
        def step(self, x, u):
            return self.fire(0.8 * u + x)

    assert len(list(neurons_of(resnet19(neuron=Mine)))) == 18


@pytest.mark.parametrize(
    ("net", "gigaops", "meganeurons"),
    [(resnet19(), 2.216, 1.377), (VGGSNN(), 1.362, 0.922)],
)
def test_sizes_of_the_published_networks(net, gigaops, meganeurons):
    with ActivityMeter(net.eval()) as meter, torch.no_grad():
        net(torch.zeros(1, 1, *net.shape))
    assert meter.activity.macs / 1e9 == pytest.approx(gigaops, abs=5e-4)
    assert meter.activity.updates / 1e6 == pytest.approx(meganeurons, abs=6e-4)


def test_parameters_of_resnet19():
    """12.63 M, as the literature has it."""
    assert sum(p.numel() for p in resnet19().parameters()) / 1e6 == pytest.approx(12.63, abs=5e-3)


@pytest.mark.parametrize("make", SMALL)
def test_norms_are_at_the_level_of_the_threshold(make):
    net = make(partial(LIF, threshold=0.5))
    norms = [m for m in net.modules() if isinstance(m, TDBatchNorm1d | TDBatchNorm2d)]
    levels = {round(norm.weight.max().item(), 4) for norm in norms}
    assert levels <= {0.5, round(0.5 * RESIDUAL, 4)}
    assert 0.5 in levels


def test_summed_branches_share_the_variance():
    block = ResNet19(width=0.05).body[2]
    assert block.branch[2][1].weight[0].item() == pytest.approx(RESIDUAL)
    assert block.shortcut[1].weight[0].item() == pytest.approx(RESIDUAL)


def test_bad_shapes():
    with pytest.raises(
        ValueError, match=r"x: expected \(T, B, 1, 8, 8\), got \(3, 1, 8, 8\).*repeat"
    ):
        ConvNet()(torch.zeros(3, 1, 8, 8))
    with pytest.raises(ValueError, match="too small to pool"):
        VGGSNN(shape=(2, 8, 8))
