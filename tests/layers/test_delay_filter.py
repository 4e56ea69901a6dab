"""The delay line's kernels against a sum written out, in float64."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from neurodyn.layers import DelayLine, filters
from neurodyn.layers.filters import delay_filter, delayed_beside
from neurodyn.scan.cpu import lags

LAST = torch.channels_last


def written_out(x, past, taps):
    line = filters.with_past(x, past, len(taps))
    return sum(tap * line[len(taps) - 1 - k :][: len(x)] for k, tap in enumerate(taps))


@pytest.fixture
def ran(monkeypatch):
    """The kernels that ran, by their sums."""
    kinds, run = [], lags._run

    def watched(sums):
        kinds.append(" ".join(one.kind for one in sums))
        run(sums)

    monkeypatch.setattr(lags, "_run", watched)
    return kinds


def sequence(T, B, features, dtype=torch.float64):
    return torch.randn(T, B, *features, dtype=dtype, requires_grad=True)


def check(x, past, taps, tolerance=1e-12):
    want, got = written_out(x, past, taps), delay_filter(x, past, taps)
    upstream = torch.randn(got.shape, dtype=got.dtype)
    expected = torch.autograd.grad(want, (x, taps), upstream)
    given = torch.autograd.grad(got, (x, taps), upstream)
    torch.testing.assert_close((got, *given), (want, *expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize("features", [(3,), (8,), (131,), (2, 3, 5), (300,)])
@pytest.mark.parametrize("K", [1, 2, 5, 11])
@pytest.mark.parametrize("T", [1, 3, 8, 9, 29])
def test_outputs_and_all_gradients(ran, T, K, features):
    B = 1 if features == (8,) else 2
    x = sequence(T, B, features)
    taps = torch.randn(K, *features, dtype=torch.float64, requires_grad=True)
    for past in (None, torch.randn(K - 1, B, *features, dtype=torch.float64)):
        check(x, past, taps)
    assert ran == ["filter", "filter weights"] * 2


# In memory that is kept; written past the cache, by several tasks; samples that share a tile.
@pytest.mark.parametrize(("B", "N"), [(7, 50), (32, 256), (120, 256), (36, 40)])
def test_float32(ran, B, N):
    x, taps = sequence(40, B, (N,), torch.float32), torch.rand(20, N, requires_grad=True)
    exact = [t.detach().double().requires_grad_() for t in (x, taps)]
    upstream = torch.randn(40, B, N)
    want, got = written_out(exact[0], None, exact[1]), delay_filter(x, None, taps)
    expected = torch.autograd.grad(want, exact, upstream.double())
    given = torch.autograd.grad(got, (x, taps), upstream)
    for a, b in zip((got, *given), (want, *expected), strict=True):
        assert (a - b).norm() < 5e-7 * b.norm()
    assert ran


def test_sequences_of_any_layout(ran):
    frame = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    taps = torch.randn(3, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    longer = torch.randn(20, 2, 3, 4, 6, dtype=torch.float64)
    images = longer.flatten(0, 1).contiguous(memory_format=LAST).unflatten(0, (20, 2))
    for x in (frame.expand(9, *frame.shape), images, longer[::2], longer[:, :, :, :, ::2]):
        tap = taps if x.shape[2:] == taps.shape[1:] else taps[..., ::2]
        want = written_out(x, x[:2], tap)
        torch.testing.assert_close(delay_filter(x, x[:2], tap), want)
        # The gradient of a sum is one number, seen from everywhere.
        given = [
            torch.autograd.grad(f(x, None, tap).sum(), taps)[0] for f in (delay_filter, written_out)
        ]
        torch.testing.assert_close(*given)
    assert len(ran) == 12


def test_several_columns_and_threads():
    x, taps = sequence(40, 3, (701,)), torch.randn(4, 701, dtype=torch.float64, requires_grad=True)
    check(x, None, taps)
    torch.set_num_threads(2)
    check(x, None, taps)


def test_only_what_is_asked_for(ran):
    x, taps = sequence(9, 2, (3,)), torch.randn(4, 3, dtype=torch.float64)
    delay_filter(x, None, taps).sum().backward()
    assert ran == ["filter", "filter"]
    assert x.grad is not None


@pytest.mark.parametrize("shape", [(9, 2, 3), (24, 20, 40), (5, 3, 300)])
@pytest.mark.parametrize("learned", [True, False])
def test_the_kernel_adds_the_gradients_of_two_readers(ran, shape, learned):
    x = sequence(shape[0], shape[1], shape[2:])
    taps = torch.randn(4, *shape[2:], dtype=torch.float64, requires_grad=learned)

    def both(y, x):
        return (y.square() * x.sin()).sum()

    leaves = (x, taps) if learned else (x,)
    want = torch.autograd.grad(both(written_out(x, None, taps), x), leaves)
    got = torch.autograd.grad(both(*delayed_beside(x, None, taps)), leaves)
    torch.testing.assert_close(got, want)
    assert ran == ["filter", "added weights" if learned else "added"]


def test_one_reader_of_two_and_no_gradient_of_the_sequence(ran):
    x, taps = sequence(9, 2, (3,)), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    _, beside = delayed_beside(x, None, taps)
    (given,) = torch.autograd.grad(beside.sum(), x)
    assert torch.equal(given, torch.ones_like(x))
    assert ran == ["filter"]
    _, beside = delayed_beside(x.detach(), None, taps)
    assert not beside.requires_grad


def test_second_derivatives_and_batches_of_gradients():
    x, taps = sequence(3, 1, (2,)), torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    past = torch.randn(2, 1, 2, dtype=torch.float64)

    def filtered(x, taps):
        return delay_filter(x, past, taps)

    def beside(x, taps):
        return delayed_beside(x, past, taps)

    for f in (filtered, beside):
        assert torch.autograd.gradcheck(f, (x, taps), check_batched_grad=True)
        assert torch.autograd.gradgradcheck(f, (x, taps))


def test_a_past_with_a_gradient(ran):
    x, past = sequence(5, 2, (3,)), sequence(3, 2, (3,))
    taps = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    results = [
        torch.autograd.grad(f(x, past, taps).square().sum(), (x, past, taps))
        for f in (delay_filter, written_out)
    ]
    torch.testing.assert_close(*results)
    assert not ran


def test_where_no_kernel_runs(ran, monkeypatch):
    x, taps = torch.randn(9, 2, 3), torch.randn(4, 3)
    want = written_out(x, None, taps)
    monkeypatch.setattr(filters, "LONGEST", 3)
    torch.testing.assert_close(delay_filter(x, None, taps), want)
    monkeypatch.setattr(filters, "LONGEST", 64)
    vmapped = torch.vmap(lambda x: delay_filter(x, None, taps), in_dims=1, out_dims=1)
    torch.testing.assert_close(vmapped(x.unsqueeze(2)).squeeze(2), want)
    _, tangent = torch.func.jvp(lambda x: delay_filter(x, None, taps), (x,), (x,))
    torch.testing.assert_close(tangent, want)
    with FlopCounterMode(display=False) as flops:
        delay_filter(x, None, taps)
    assert flops.get_total_flops() > 0
    with torch.autocast("cpu", torch.bfloat16):
        assert delay_filter(x, None, taps).dtype == torch.bfloat16
    assert not ran
    assert torch.equal(
        delay_filter(x.bfloat16(), None, taps), delay_filter(x.bfloat16().float(), None, taps)
    )
    assert ran == ["filter"] * 2


def test_compiled_and_exported(ran):
    line, x = DelayLine(3, 4), torch.randn(9, 2, 3)
    want = line(x)
    ran.clear()
    compiled = torch.compile(line, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), want)
    torch.testing.assert_close(torch.export.export(line, (x,)).module()(x), want)
    assert not ran
