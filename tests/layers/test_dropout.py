"""Dropout by a kernel: its statistics, its gradient, what repeats it, and where PyTorch's runs."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from neurodyn.layers import Dropout
from neurodyn.scan.cpu import drop

MANY = 1 << 21


@pytest.fixture
def ran(monkeypatch):
    """The sizes of what the kernel ran on."""
    sizes, run = [], drop.dropped
    monkeypatch.setattr(
        drop, "dropped", lambda x, *given: sizes.append(x.numel()) or run(x, *given)
    )
    return sizes


def gone(p, n=MANY, seed=0):
    """Which of `n` elements are dropped, as 0 and 1."""
    torch.manual_seed(seed)
    return (Dropout(p)(torch.ones(n)) == 0).double()


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


@pytest.mark.parametrize("p", [0.001, 0.05, 0.2, 0.5, 0.9])
def test_rate_and_scale(p, ran):
    x = torch.randn(MANY)
    y = Dropout(p)(x)
    kept = y != 0
    spread = math.sqrt(p * (1 - p) / MANY)
    assert abs((~kept).double().mean() - p) < 5 * spread
    assert torch.equal(y[kept], x[kept] * torch.tensor(1 / (1 - p)))
    # In every chunk: of 128 chunks none strays far, and together they stray as chance has it.
    rates = (~kept).double().view(-1, drop.CHUNK).mean(1)
    z = (rates - p) / math.sqrt(p * (1 - p) / drop.CHUNK)
    assert z.abs().max() < 5
    assert 0.7 < z.std() < 1.3
    assert ran == [MANY]


def test_elements_are_independent():
    """Of their neighbours, of those in the next rows and chunks, and of other calls."""
    mask, bound = gone(0.3), 5 / math.sqrt(MANY)
    for lag in (*range(1, 40), 64, 128, 256, 1000, 4096, drop.CHUNK, 2 * drop.CHUNK):
        assert abs(correlation(mask[lag:], mask[:-lag])) < bound, lag
    assert abs(correlation(mask, gone(0.3, seed=1))) < bound
    torch.manual_seed(0)
    first, second = (Dropout(0.3)(torch.ones(MANY)) == 0 for _ in range(2))
    assert abs(correlation(first.double(), second.double())) < bound


@pytest.mark.parametrize("stride", [1, 2, 16, 256, 512])
def test_patterns_are_uniform(stride):
    """Eight elements of a half-dropped tensor, near or far, are any of 256 patterns."""
    bits = gone(0.5).long().view(-1, 8, stride).transpose(1, 2).reshape(-1, 8)
    counts = (bits << torch.arange(8)).sum(1).bincount(minlength=256).double()
    expected = len(bits) / 256
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi2 - 255) < 5 * math.sqrt(2 * 255)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 3, 241), (2, 3 * drop.CHUNK // 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_of_what_was_kept(shape, dtype, ran):
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    y = Dropout(0.4)(x)
    scale = (y / x).detach()
    upstream = torch.randn(shape, dtype=dtype)
    (grad,) = torch.autograd.grad(y, x, upstream, create_graph=True)
    torch.testing.assert_close(grad, upstream * scale)
    assert torch.equal(grad == 0, scale == 0)
    batch = torch.randn(3, *shape, dtype=dtype)
    (grads,) = torch.autograd.grad(y, x, batch, is_grads_batched=True, retain_graph=True)
    torch.testing.assert_close(grads, batch * scale)
    # Gradients that are seen from everywhere, or do not lie densely.
    (grad,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    torch.testing.assert_close(grad, scale)
    turned = y.reshape(y.shape[0], -1).t()
    (grad,) = torch.autograd.grad(turned, x, torch.ones_like(turned))
    torch.testing.assert_close(grad, scale)
    assert ran


def test_twice_differentiable():
    x = torch.randn(50, dtype=torch.float64, requires_grad=True)

    def cubed(x):
        torch.manual_seed(3)
        return Dropout(0.5)(x) ** 3

    torch.autograd.gradcheck(cubed, x)
    torch.autograd.gradgradcheck(cubed, x)


def test_the_seed_repeats_it():
    x, layer = torch.randn(40, 900), Dropout(0.5)
    torch.manual_seed(7)
    first, state, second = layer(x), torch.get_rng_state(), layer(x)
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    assert torch.equal(layer(x), first)
    torch.set_rng_state(state)
    torch.set_num_threads(2)
    assert torch.equal(layer(x), second)


def test_memory_past_the_cache():
    x = torch.randn(1 << 20) + 10
    assert x.nbytes >= 1 << 22
    y = Dropout(0.5)(x)
    assert torch.equal(y[y != 0], 2 * x[y != 0])
    assert torch.equal(Dropout(0.5, inplace=True)(x), x)
    assert 0.49 < (x == 0).float().mean() < 0.51


def test_where_pytorch_runs(ran):
    x = torch.randn(4, 6, 8, 8)
    assert Dropout(0.5).eval()(x) is x
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
    others = (x.bfloat16(), x.contiguous(memory_format=torch.channels_last), x[:, ::2], x[:0])
    for other in others:
        torch.manual_seed(2)
        y = Dropout(0.5)(other)
        torch.manual_seed(2)
        assert torch.equal(y, nn.functional.dropout(other, 0.5))
    with FlopCounterMode(display=False):
        Dropout(0.5)(x)
    torch.func.vmap(Dropout(0.5), randomness="different")(x)
    torch.func.jvp(Dropout(0.5), (x,), (x,))
    assert ran == []
    torch.compile(Dropout(0.5), backend="eager", fullgraph=True)(x)
    assert ran == []
