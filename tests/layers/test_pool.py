"""Pooling against PyTorch's own."""

import pytest
import torch
from torch import nn

from neurodyn.layers import AvgPool2d, pool
from neurodyn.scan.cpu import pairs as kernels

POOL = nn.AvgPool2d(2)


@pytest.fixture
def pairs(monkeypatch):
    """The shapes that were pooled without PyTorch's kernel."""
    shapes, halve = [], pool._Halve.forward

    def watched(x, scale):
        shapes.append(tuple(x.shape))
        return halve(x, scale)

    monkeypatch.setattr(pool._Halve, "forward", staticmethod(watched))
    return shapes


@pytest.mark.parametrize("divisor", [None, 1, 3])
@pytest.mark.parametrize("shape", [(3, 2, 4, 6), (1, 1, 2, 2), (2, 5, 8, 8)])
def test_outputs_and_gradients(pairs, shape, divisor):
    ours, theirs = (kind(2, divisor_override=divisor) for kind in (AvgPool2d, nn.AvgPool2d))
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn_like(theirs(x))
    results = [(f(x), *torch.autograd.grad(f(x), x, upstream)) for f in (ours, theirs)]
    torch.testing.assert_close(*results, rtol=0, atol=1e-15)
    assert pairs == [shape, shape]
    assert torch.autograd.gradcheck(ours, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(ours, x)


# Whole vectors, half ones and single numbers in a row; several tasks; written past the cache.
@pytest.mark.parametrize("shape", [(2, 3, 4, 46), (9, 8, 6, 2), (3, 5, 50, 40), (8, 64, 64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels(shape, dtype, monkeypatch):
    kinds, run = [], kernels._run
    note = lambda kind, *given: kinds.append(kind) or run(kind, *given)  # noqa: E731
    monkeypatch.setattr(kernels, "_run", note)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    upstream = torch.randn(*shape[:2], shape[2] // 2, shape[3] // 2, dtype=dtype)
    results = [(f(x), *torch.autograd.grad(f(x), x, upstream)) for f in (AvgPool2d(2), POOL)]
    torch.testing.assert_close(*results, rtol=0, atol=4 * torch.finfo(dtype).eps)
    assert kinds == ["halve", "halve", "double"]


def test_sums_of_spikes_are_exact(pairs):
    x = (torch.rand(16, 4, 8, 8) < 0.3).float()
    assert torch.equal(AvgPool2d(2)(x), nn.AvgPool2d(2)(x))
    assert len(pairs) == 1


def test_a_gradient_of_any_layout(pairs):
    x, upstream = torch.randn(3, 2, 4, 6, requires_grad=True), torch.randn(3, 2, 2, 3)
    (expected,) = torch.autograd.grad(nn.AvgPool2d(2)(x), x, upstream)
    last = upstream.contiguous(memory_format=torch.channels_last)
    for given in (last, upstream[:, :, :1, :1].contiguous().expand_as(upstream)):
        (want,) = torch.autograd.grad(nn.AvgPool2d(2)(x), x, given)
        assert torch.equal(torch.autograd.grad(AvgPool2d(2)(x), x, given)[0], want)
    assert torch.equal(torch.autograd.grad(AvgPool2d(2)(x), x, last)[0], expected)


@pytest.mark.parametrize(
    ("options", "x"),
    [
        ({}, torch.randn(2, 3, 5, 4)),  # PyTorch leaves the last row out
        ({"ceil_mode": True}, torch.randn(2, 3, 4, 5)),
        ({"stride": 1}, torch.randn(2, 3, 4, 4)),
        ({"padding": 1}, torch.randn(2, 3, 4, 4)),
        ({"kernel_size": (1, 2)}, torch.randn(2, 3, 4, 4)),
        ({}, torch.randn(3, 4, 4)),
        ({}, torch.randn(2, 3, 4, 4).bfloat16()),
        ({}, torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)),
        ({}, torch.randn(0, 3, 4, 4)),
    ],
)
def test_everything_else_is_left_to_pytorch(pairs, options, x):
    options = {"kernel_size": 2, **options}
    assert torch.equal(AvgPool2d(**options)(x), nn.AvgPool2d(**options)(x))
    assert not pairs


def test_sizes_of_pairs_are_pooled_here(pairs):
    AvgPool2d((2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=True)(torch.randn(2, 3, 4, 4))
    assert len(pairs) == 1


def test_compiled_and_exported(pairs):
    layer, x = AvgPool2d(2), torch.randn(2, 3, 4, 4)
    want = nn.AvgPool2d(2)(x)
    assert torch.equal(torch.compile(layer, backend="aot_eager", fullgraph=True)(x), want)
    assert torch.equal(torch.export.export(layer, (x,)).module()(x), want)
    assert not pairs


def test_transforms_of_torch_func():
    x = torch.randn(3, 2, 1, 4, 4)
    assert torch.allclose(torch.vmap(AvgPool2d(2))(x), torch.vmap(nn.AvgPool2d(2))(x))
    slopes = [
        torch.func.grad(lambda x, kind=kind: kind(2)(x).square().sum())(x[0])
        for kind in (AvgPool2d, nn.AvgPool2d)
    ]
    assert torch.allclose(*slopes)
