"""Normalisation in the neuron's kernel equals normalisation in front of it."""

import copy

import pytest
import torch
from torch import nn

from neurodyn.layers import Delayed, Normed, TDBatchNorm2d, normed, repeat
from neurodyn.neurons import LIF, LNM

T, SHAPE = 4, (8, 6, 5, 5)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(normed, "SMALLEST", 0)


def pair(norm=None, **options):
    """The layer, and one that runs norm and neuron one after the other."""
    norm = TDBatchNorm2d(6) if norm is None else norm
    if norm.affine:
        nn.init.normal_(norm.bias, std=0.2)
    layer = Normed(norm, LNM(**options)).double()
    apart = copy.deepcopy(layer)
    apart.neuron.backend = "reference"
    return layer, apart


def contiguous(x):
    return x


def channels_last(x):
    return x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (T, -1))


def repeated(x):
    return repeat(x[0], T)


def noisy():
    return torch.randn(T, *SHAPE, dtype=torch.float64) * 2 + 1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", [contiguous, channels_last, repeated])
def test_outputs_gradients_and_statistics(form, training):
    layer, apart = (part.train(training) for part in pair())
    leaf = noisy()
    got, expected = leaf.clone().requires_grad_(), leaf.clone().requires_grad_()
    weight = torch.randn(T, *SHAPE, dtype=torch.float64)
    for part, x in ((layer, got), (apart, expected)):
        for _ in range(2):  # running statistics move twice
            (part(form(x)) * weight).sum().backward()
    assert torch.equal(layer(form(leaf)), apart(form(leaf)))
    torch.testing.assert_close(got.grad, expected.grad)
    for name, parameter in apart.named_parameters():
        torch.testing.assert_close(layer.get_parameter(name).grad, parameter.grad)
    for name, buffer in apart.named_buffers():
        torch.testing.assert_close(layer.get_buffer(name), buffer)


@pytest.mark.parametrize(
    "options", [{"momentum": None}, {"affine": False}, {"track_running_stats": False}]
)
def test_options_of_the_norm(options):
    layer, apart = pair(nn.BatchNorm2d(6, **options))
    x = noisy()
    for training in (True, True, False):
        assert torch.equal(layer.train(training)(x), apart.train(training)(x))
    for name, buffer in apart.named_buffers():
        torch.testing.assert_close(layer.get_buffer(name), buffer)


def test_less_is_kept():
    def kept(layer):
        held = {}

        def pack(tensor):
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        x = torch.randn(T, *SHAPE, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(x)
        return sum(held.values()) / x.numel()

    layer = Normed(TDBatchNorm2d(6), LIF())
    assert kept(layer) < 4.5
    assert kept(nn.Sequential(layer.norm, layer.neuron)) > 8


def test_a_mean_far_from_zero_cancels_nothing():
    x = (torch.randn(T, *SHAPE) + 1000).double()
    mean, var = normed.statistics(x.float())
    torch.testing.assert_close(mean.double(), x.mean((0, 1, 3, 4)), rtol=1e-5, atol=0)
    expected = x.float().double().var((0, 1, 3, 4), correction=0)
    torch.testing.assert_close(var.double(), expected, rtol=1e-3, atol=0)


def test_delays_and_half_precision_run_apart():
    x = torch.randn(T, *SHAPE)
    delayed = Delayed(SHAPE[1:], neuron=LIF, order=3)
    layer = Normed(TDBatchNorm2d(6), delayed)
    assert torch.equal(layer(x), delayed(layer.norm(x)))
    layer = Normed(TDBatchNorm2d(6), LIF()).bfloat16()
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_small_sequences_run_apart(monkeypatch):
    monkeypatch.setattr(normed, "SMALLEST", 1 << 20)
    monkeypatch.setattr(normed, "statistics", None)
    Normed(TDBatchNorm2d(6), LIF())(torch.randn(T, *SHAPE))


def test_one_value_per_channel_has_no_variance():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        Normed(TDBatchNorm2d(6), LIF())(torch.randn(1, 1, 6, 1, 1))
