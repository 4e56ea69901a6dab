import pytest
import torch

from neurodyn.layers import MatMul, TDBatchNorm2d
from neurodyn.models import Spikformer
from neurodyn.models.spikformer import PatchSplitting, SpikingSelfAttention, encoder_block
from neurodyn.neurons import IF, LIF

SHAPE = (8, 3, 5)


@pytest.fixture
def spikes():
    return (torch.rand(4, 2, *SHAPE) < 0.5).float()


def calibrated():
    """An attention in evaluation, whose norms let spikes through."""
    attention = SpikingSelfAttention(LIF, SHAPE, 2).eval()
    for norm in attention.modules():
        if isinstance(norm, TDBatchNorm2d):
            torch.nn.init.constant_(norm.weight, 6.0)
    return attention


def test_attention_is_a_sum_over_tokens_and_heads(spikes):
    """Each head h of each step: y[n] = scale sum_m (q[n] . k[m]) v[m], by loops."""
    heads, d = 2, 4
    attention = SpikingSelfAttention(LIF, SHAPE, heads)
    currents = []
    attention.neuron.register_forward_pre_hook(lambda _, x: currents.append(x[0]))
    out = attention(spikes)
    q, k, v = (f(spikes).flatten(3) for f in (attention.query, attention.key, attention.value))
    expected = torch.zeros_like(q)
    for t in range(len(q)):
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            scores = q[t, :, part].transpose(1, 2) @ k[t, :, part]
            expected[t, :, part] = 0.25 * (scores @ v[t, :, part].transpose(1, 2)).transpose(1, 2)
    assert expected.any()
    torch.testing.assert_close(currents[0].flatten(3), expected)
    torch.testing.assert_close(out, attention.projection(attention.neuron(currents[0])))


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_the_scale_is_a_quarter_of_the_threshold(threshold):
    """The paper's 1/8 where its attention's threshold is 1/2."""
    attention = SpikingSelfAttention(lambda shape: LIF(shape, threshold=threshold), SHAPE, 2)
    assert attention.scale == threshold / 4


def test_attention_is_causal(spikes):
    attention = calibrated()
    changed = spikes.clone()
    changed[2:] = 1 - changed[2:]
    before, after = attention(spikes), attention(changed)
    assert torch.equal(before[:2], after[:2])
    assert not torch.equal(before[2:], after[2:])


def test_attention_moves_with_its_tokens(spikes):
    """Without a position embedding, permuted tokens give permuted outputs."""
    attention = calibrated()
    assert attention(spikes).any()
    torch.testing.assert_close(attention(spikes.flip(-1)), attention(spikes).flip(-1))


def test_residuals_add_spikes(spikes):
    attention, mlp = encoder_block(IF, SHAPE, 2)
    middle = attention(spikes)
    assert torch.equal(middle, spikes + attention.layer(spikes))
    assert torch.equal(mlp(middle), middle + mlp.layer(middle))
    assert mlp.layer[0].shape == (32, 3, 5)


@pytest.mark.parametrize(("patch", "side"), [(4, 8), (16, 2)])
def test_patches(patch, side):
    patches = PatchSplitting(LIF, (3, 32, 32), 16, patch)
    out = patches(torch.randn(2, 1, 3, 32, 32))
    assert out.shape[2:] == patches.shape == (16, side, side)
    assert set(out.unique().tolist()) == {0.0, 1.0, 2.0}  # spikes, and those of their positions


@pytest.mark.parametrize(
    ("options", "published", "void"),
    [
        ({}, 9.32e6, 4 * (4 * 384 + 4 * 384 + 384)),
        (
            {"shape": (3, 224, 224), "classes": 1000, "channels": 512, "depth": 8}
            | {"heads": 8, "patch": 16},
            29.68e6,
            8 * (512 + 4 * 512 + 512),
        ),
    ],
)
def test_parameters(options, published, void):
    """The paper's numbers, which are rounded down, less the biases that a norm cancels."""
    parameters = sum(p.numel() for p in Spikformer(**options).parameters())
    assert 0 <= parameters + void - published < 0.01e6


def test_its_products_can_be_seen(spikes):
    modules = list(SpikingSelfAttention(LIF, SHAPE, 2).modules())
    assert sum(isinstance(m, MatMul) for m in modules) == 2


def test_bad_arguments():
    with pytest.raises(ValueError, match="heads: expected a divisor of the 384 channels, got 7"):
        Spikformer(heads=7)
    with pytest.raises(ValueError, match="patch: expected 4 or 16 pixels, got 8"):
        Spikformer(patch=8)
    with pytest.raises(ValueError, match="channels: expected a multiple of 8, got 12"):
        Spikformer(channels=12)
