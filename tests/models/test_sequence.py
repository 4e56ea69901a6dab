from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.layers import Delayed, LearnedDelays, SoftmaxSum
from neurodyn.models import SequenceNet
from neurodyn.neurons import IF, LIF, LNM, AdLIF, CubaLIF, DecayLIF, MultiTimescale, neurons_of


@pytest.mark.parametrize("neuron", [LIF, LNM, MultiTimescale, partial(LNM, per="neuron")])
def test_any_neuron_drops_in(neuron):
    net = SequenceNet(neuron, shape=(6,), classes=3, widths=(5, 4))
    out = net(torch.randn(7, 2, 6))
    assert out.shape == (7, 2, 3)
    out.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


def test_layers():
    net = SequenceNet(
        partial(LIF, threshold=0.5), widths=(8, 4), dropout=0.6, momentum=0.02, gain=0.4
    )
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d)]
    assert [norm.momentum for norm in norms] == [0.02] * 3
    assert [norm.weight[0].item() for norm in norms] == pytest.approx([0.2, 0.2, 1.0])
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.6, 0.6]
    assert all(m.bias is None for m in net.modules() if isinstance(m, nn.Linear))
    assert [neuron.features for _, neuron in neurons_of(net)] == [(8,), (4,)]


def test_graded_timescales():
    net = SequenceNet(CubaLIF, widths=(5, 4), timescales=(2.0, 32.0))
    means = [neuron.tau_mem.item() for _, neuron in neurons_of(net)]
    assert means == pytest.approx([4.0, 16.0], rel=1e-5)
    with pytest.raises(ValueError, match="network: expected layers of CubaLIF or MultiTimescale"):
        SequenceNet(LIF, timescales=(2.0, 32.0))


def test_an_input_of_more_dimensions_is_flattened():
    torch.manual_seed(0)
    net = SequenceNet(IF, shape=(2, 3, 4), classes=3, widths=(5,)).eval()
    x = torch.randn(6, 2, 2, 3, 4)
    flat = nn.Sequential(*net.body[1:], net.head)(x.reshape(6, 2, 24))
    assert torch.equal(net(x), flat)


def test_other_synapses():
    net = SequenceNet(
        shape=(6,), classes=3, widths=(5, 4), synapses=partial(LearnedDelays, order=4)
    )
    assert [tuple(m.weight.shape) for m in net.body if isinstance(m, LearnedDelays)] == [
        (5, 6),
        (4, 5),
    ]
    out = net(torch.randn(7, 2, 6))
    assert out.shape == (7, 2, 3)
    out.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"x: expected \(T, B, 140\), got \(9, 2, 700\)"):
        SequenceNet()(torch.zeros(9, 2, 700))
    with pytest.raises(ValueError, match="widths: expected at least one layer"):
        SequenceNet(widths=())
    with pytest.raises(ValueError, match=r"shape: SequenceNet expects .*such as \(40,\), got 40"):
        SequenceNet(shape=40)


@pytest.mark.parametrize(("neuron", "own"), [(DecayLIF, 1), (AdLIF, 4)])
@pytest.mark.parametrize(("h", "order"), [(128, 10), (16, 3), (8, 0)])
def test_parameters_of_the_paper(neuron, own, h, order):
    """arXiv:2512.01906: synapses (160 + h) h, norms 4 h + 40, each neuron's own, the delays'
    weights, and a decay for each of the 20 outputs; 40,252 and 41,020 at h = 128, n_d = 10."""
    make = partial(Delayed, neuron=partial(neuron, per="neuron"), order=order)
    parts = SequenceNet(make, widths=(h, h)), SoftmaxSum(20)
    count = sum(p.numel() for part in parts for p in part.parameters())
    assert count == h**2 + (164 + 2 * own + 2 * order) * h + 60
    if (h, order) == (128, 10):
        assert count == {1: 40252, 4: 41020}[own]
