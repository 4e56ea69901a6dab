import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from neurodyn.analysis import ActivityMeter
from neurodyn.layers import (
    RESIDUAL,
    DelayLine,
    LearnedDelays,
    TDBatchNorm1d,
    TDBatchNorm2d,
    TimeDistributed,
    repeat,
)
from neurodyn.models import (
    VGGSNN,
    ConvNet,
    MSResNet,
    ResNet,
    ResNet9,
    ResNet19,
    SEWResNet,
    Spikformer,
    SpikingNetwork,
    resnet19,
)
from neurodyn.models.blocks import scaled
from neurodyn.neurons import LIF, LNM, Neuron, neurons_of

SMALL = {
    "ConvNet": partial(ConvNet, shape=(1, 8, 8), widths=(4, 6)),
    "VGGSNN": partial(VGGSNN, shape=(2, 16, 16), width=0.05),
    "ResNet19": partial(ResNet19, shape=(3, 8, 8), width=0.05),
    "ResNet9": partial(ResNet9, shape=(3, 8, 8), width=0.05),
    "ResNet": partial(ResNet, shape=(3, 32, 32), depth=18, width=0.05),
    "SEWResNet": partial(SEWResNet, shape=(3, 8, 8), depth=18, width=0.05, stem="small"),
    "MSResNet": partial(MSResNet, shape=(3, 32, 32), depth=18, width=0.05),
    "Spikformer": partial(Spikformer, shape=(3, 8, 8), channels=16, depth=1, heads=2),
}
NEURONS = {
    "LIF": LIF,
    "LNM": LNM,
    "LNM per channel": partial(LNM, per="channel"),
    "LNM per neuron": partial(LNM, per="neuron"),
}


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("neuron", NEURONS.values(), ids=NEURONS)
def test_any_neuron_drops_in_and_trains(make, neuron):
    net = make(neuron, classes=7)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    out = net(repeat(torch.randn(3, *net.shape), 2))
    assert out.shape == (2, 3, 7)
    nn.functional.cross_entropy(out.mean(0), torch.tensor([0, 3, 6])).backward()
    for name, p in net.named_parameters():
        assert not p.requires_grad or p.grad.isfinite().all(), name
    optimizer.step()
    assert net(repeat(torch.randn(3, *net.shape), 2)).isfinite().all()


@pytest.mark.parametrize(
    ("width", "channels"), [(1, [64, 512]), (0.125, [8, 64]), (0.1, [8, 48]), (0.01, [8, 8])]
)
def test_scaled_channels_are_multiples_of_eight(width, channels):
    assert [scaled(published, width) for published in (64, 512)] == channels


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_every_layer_learns(make):
    net = make(partial(LNM, threshold=0.2), classes=7)
    if isinstance(net, MSResNet):  # its branches start at zero
        for norm in net.modules():
            if isinstance(norm, TDBatchNorm2d):
                nn.init.constant_(norm.weight, 0.2)
    net(torch.randn(4, 8, *net.shape)).square().sum().backward()
    still = [name for name, p in net.named_parameters() if p.ndim > 1 and not p.grad.any()]
    assert not still


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_a_step_in_bfloat16_and_channels_last(make):
    """As the recipes for a GPU train."""
    net = make(LNM, classes=7).to(memory_format=torch.channels_last)
    images = torch.randn(3, *net.shape).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(repeat(images, 2))
        loss = nn.functional.cross_entropy(out.float().mean(0), torch.tensor([0, 3, 6]))
    loss.backward()
    assert out.dtype == torch.bfloat16
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.requires_grad)


def test_a_users_own_neuron():
    class Mine(Neuron):
        def step(self, x, u):
            return self.fire(0.8 * u + x)

    assert len(list(neurons_of(resnet19(neuron=Mine)))) == 18


LARGE_SPIKFORMER = {"shape": (3, 224, 224), "classes": 1000, "channels": 512, "depth": 8}
LARGE_SPIKFORMER |= {"heads": 8, "patch": 16}

slow = partial(pytest.param, marks=pytest.mark.slow)  # A smaller one of its kind stands beside it.
PUBLISHED = [
    # network, parameters [M], operations of a dense step [G], neurons [M]
    (ResNet19, {}, 12.631, 2.216, 1.377),
    (VGGSNN, {}, 9.269, 1.362, 0.922),
    (ResNet, {}, 21.798, 3.664, 3.562),
    (SEWResNet, {"depth": 18}, 11.690, 1.814, 2.484),
    slow(SEWResNet, {}, 21.798, 3.664, 3.738),
    (MSResNet, {"depth": 18}, 11.694, 1.827, 2.308),
    slow(MSResNet, {}, 21.802, 3.677, 3.562),
    (ResNet9, {}, 6.573, 0.379, 0.205),
    (Spikformer, {}, 9.311, 0.928, 1.450),
    slow(Spikformer, LARGE_SPIKFORMER, 29.665, 8.359, 14.150),
]


@pytest.mark.parametrize(("cls", "options", "parameters", "operations", "neurons"), PUBLISHED)
def test_sizes_of_the_published_networks(cls, options, parameters, operations, neurons):
    net = cls(**options).eval()
    x = torch.zeros(1, 1, *net.shape)
    with ActivityMeter(net) as meter, torch.no_grad():
        net(x)
    # Published counts include the products with padding zeros, as PyTorch's own counter does.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(parameters, abs=6e-4)
    assert counter.get_total_flops() / 2e9 == pytest.approx(operations, abs=6e-4)
    assert 0.8 * operations < meter.activity.macs / 1e9 < operations
    assert not meter.activity.uncounted
    assert meter.activity.updates / 1e6 == pytest.approx(neurons, abs=6e-4)


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_norms_are_at_the_level_of_the_threshold(make):
    net = make(partial(LIF, threshold=0.5))
    norms = [m for m in net.modules() if isinstance(m, TDBatchNorm1d | TDBatchNorm2d)]
    levels = {round(norm.weight.max().item(), 4) for norm in norms}
    assert levels <= {0.5, round(0.5 * RESIDUAL, 4), 0.0 if isinstance(net, MSResNet) else 0.5}
    assert 0.5 in levels


def test_bad_shapes():
    with pytest.raises(
        ValueError, match=r"x: expected \(T, B, 1, 8, 8\), got \(3, 1, 8, 8\).*repeat"
    ):
        ConvNet()(torch.zeros(3, 1, 8, 8))
    with pytest.raises(ValueError, match="too small to pool"):
        VGGSNN(shape=(2, 8, 8))
    for shape in (8, (8, 8), None):
        for cls in (ConvNet, VGGSNN, ResNet9, ResNet19, ResNet, SEWResNet, MSResNet, Spikformer):
            message = rf"shape: {cls.__name__} expects .*\(C, H, W\).*, got {re.escape(str(shape))}"
            with pytest.raises(ValueError, match=message):
                cls(shape=shape)


@pytest.mark.parametrize("shape", [(5, 6), (5, 1, 8, 8), (8, 8), (4, 5, 1, 8, 8, 1)])
def test_a_neuron_that_knows_its_features_knows_time_from_batch(shape):
    features = (6,) if len(shape) == 2 else (1, 8, 8)
    with pytest.raises(ValueError, match=r"x: expected \(T, B, .*Time comes first: .*repeat"):
        LIF(features)(torch.zeros(shape))


@pytest.mark.parametrize("layer", [DelayLine(6, 3), LearnedDelays(6, 5, 3), TimeDistributed()])
def test_layers_name_time_and_batch(layer):
    with pytest.raises(ValueError, match=r"x: expected \(T, B, .*got \(5, 6\).*repeat"):
        layer(torch.zeros(5, 6))


@pytest.mark.parametrize("head", [nn.Flatten(0, 1), nn.Flatten(1), nn.Linear(64, 3)])
def test_outputs_of_another_batch_are_an_error(head):
    class Own(SpikingNetwork):
        def __init__(self):
            super().__init__((1, 8, 8))
            self.body, self.head = nn.Flatten(3), head

    with pytest.raises(ValueError, match=r"Own: expected outputs \(T, B, classes\) for x of shape"):
        Own()(torch.zeros(4, 2, 1, 8, 8))
