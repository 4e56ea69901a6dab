import pytest
import torch
from torch import nn

from neurodyn.layers import RESIDUAL
from neurodyn.models import MSResNet, ResNet, SEWResNet
from neurodyn.models.residual import BasicBlock, MSBlock, SEWBlock
from neurodyn.neurons import IF, LIF

BLOCKS = [BasicBlock, SEWBlock, MSBlock]
SHAPE = (4, 6, 6)


@pytest.fixture
def x():
    return torch.randn(3, 2, *SHAPE)


@pytest.fixture
def spikes():
    return (torch.rand(3, 2, *SHAPE) < 0.3).float()


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 1), (4, 2), (8, 2)])
def test_a_shortcut_convolves_where_shapes_differ(block, channels, stride, spikes):
    made = block(LIF, SHAPE, channels, stride)
    assert made(spikes).shape[2:] == made.shape == (channels, 6 // stride, 6 // stride)
    assert isinstance(made.shortcut, nn.Identity) == ((channels, stride) == (4, 1))


@pytest.mark.parametrize("block", BLOCKS)
def test_odd_sizes(block):
    made = block(LIF, (2, 7, 5), 3, 2)
    assert made(torch.zeros(1, 2, 2, 7, 5)).shape[2:] == made.shape == (3, 4, 3)


@pytest.mark.parametrize("stride", [1, 2])
def test_basic_block(stride, spikes):
    """O = neuron(W2 neuron(W1 S) + shortcut(S))."""
    block = BasicBlock(LIF, SHAPE, 4, stride)
    first, inner, second = block.branch
    shortcut = spikes if stride == 1 else block.shortcut(spikes)
    expected = block.neuron(second(inner(first(spikes))) + shortcut)
    torch.testing.assert_close(block(spikes), expected)
    assert set(block(spikes).unique().tolist()) <= {0.0, 1.0}


def test_summed_branches_share_the_variance():
    block = BasicBlock(LIF, SHAPE, 8, 2)
    assert block.branch[2][1].weight[0].item() == pytest.approx(RESIDUAL)
    assert block.shortcut[1].weight[0].item() == pytest.approx(RESIDUAL)


def test_sew_block_adds_spikes_to_spikes(spikes):
    """O = neuron(W2 neuron(W1 S)) + S: where the branch is silent, the identity (Fang, eq. 6)."""
    block = SEWBlock(IF, SHAPE, 4, 1)
    assert set(block(spikes).unique().tolist()) == {0.0, 1.0, 2.0}
    torch.testing.assert_close(block(spikes) - spikes, block.branch(spikes))
    nn.init.zeros_(block.branch[1][1].norm[0].weight)
    assert torch.equal(block(spikes), spikes)


def test_a_shortcut_of_sew_that_convolves_fires(spikes):
    block = SEWBlock(IF, SHAPE, 8, 2)
    assert set(block.shortcut(spikes).unique().tolist()) == {0.0, 1.0}


def test_ms_block_adds_currents(x):
    """O = W2 neuron(W1 neuron(X)) + X: no neuron on the shortcut, and its start is the identity."""
    block = MSBlock(LIF, SHAPE, 4, 1)
    assert torch.equal(block(x), x)
    nn.init.ones_(block.branch[3][1].weight)
    first, one, second, two = block.branch
    torch.testing.assert_close(block(x), two(second(one(first(x)))) + x)


def test_the_stem_divides_by_four():
    """Stages of 64, 128, 256, 512 channels at 56, 28, 14 and 7 pixels, with either stem."""
    sizes = [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
    for cls in (ResNet, SEWResNet, MSResNet):
        net = cls(depth=18)
        shapes = [m.shape for m in net.modules() if isinstance(m, BasicBlock | SEWBlock | MSBlock)]
        assert shapes == [size for size in sizes for _ in range(2)]
        small = cls(shape=(3, 32, 32), depth=18, stem="small")
        shapes = [m.shape for m in small.modules() if hasattr(m, "shortcut")]
        assert shapes[0] == (64, 32, 32)
        assert shapes[-1] == (512, 4, 4)


def test_ms_resnet_fires_only_behind_its_stem():
    net = MSResNet(shape=(3, 32, 32), depth=18, width=0.05)
    seen = []
    hook = net.head.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    net(torch.randn(2, 3, *net.shape))
    hook.remove()
    assert ((seen[0] >= 0) & (seen[0] <= 1)).all()  # means of spikes, not currents


def test_unknown_depth():
    with pytest.raises(ValueError, match="depth: expected 18 or 34, got 50"):
        ResNet(depth=50)
