"""Both forms of a causal filter against its sum written out, in float64."""

import pytest
import torch

from neurodyn.layers import LearnedDelays, filters
from neurodyn.layers.filters import causal_filter, spectral_filter

B, INPUTS, OUTPUTS = 2, 3, 4


def written_out(line, kernel):
    K, steps = kernel.shape[-1], len(line) - kernel.shape[-1] + 1
    return sum(line[K - 1 - k :][:steps] @ kernel[..., k].T for k in range(K))


@pytest.mark.parametrize("form", [causal_filter, spectral_filter])
@pytest.mark.parametrize(
    ("T", "K"),
    [
        *((1, 1), (5, 1)),  # no delay
        *((1, 4), (3, 7), (4, 7)),  # even and odd lengths of a piece
        *((12, 3), (24, 3), (13, 3), (29, 2)),  # one piece, equal ones, and a shorter last one
    ],
)
def test_outputs_and_all_gradients(form, T, K):
    line = torch.randn(K - 1 + T, B, INPUTS, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(OUTPUTS, INPUTS, K, dtype=torch.float64, requires_grad=True)
    want, got = written_out(line, kernel), form(line, kernel)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    upstream = torch.randn_like(want)
    expected = torch.autograd.grad(want, (line, kernel), upstream)
    given = torch.autograd.grad(got, (line, kernel), upstream)
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-12)


def test_the_spectral_form_is_as_precise_in_float32():
    line, kernel = (torch.rand(124, 8, 32) < 0.1).double(), torch.randn(16, 32, 25).double()
    want, upstream = written_out(line, kernel), torch.randn(100, 8, 16)

    def errors(form):
        leaves = [t.float().requires_grad_() for t in (line, kernel)]
        exact = [t.clone().requires_grad_() for t in (line, kernel)]
        got = form(*leaves)
        given = torch.autograd.grad(got, leaves, upstream)
        expected = torch.autograd.grad(written_out(*exact), exact, upstream.double())
        pairs = zip((got.detach(), *given), (want, *expected), strict=True)
        return [((a - b).norm() / b.norm()).item() for a, b in pairs]

    assert max(errors(spectral_filter)) < 1e-6


def test_the_spectral_form_is_differentiable_twice():
    leaves = [torch.randn(shape).double().requires_grad_() for shape in ((8, 1, 2), (2, 2, 3))]
    assert torch.autograd.gradgradcheck(spectral_filter, leaves)


@pytest.fixture
def forms(monkeypatch):
    """The names of the forms that learned delays used."""
    used = []

    def watched(name):
        form = getattr(filters, name)
        monkeypatch.setattr(
            f"neurodyn.layers.delay.{name}", lambda *a: used.append(name) or form(*a)
        )

    watched("causal_filter")
    watched("spectral_filter")
    return used


@pytest.mark.parametrize("settled", [False, True])
def test_training_by_either_form_is_the_same(forms, monkeypatch, settled):
    layer = LearnedDelays(INPUTS, OUTPUTS, order=20).double()
    layer.calls.fill_(2000 if settled else 0)
    x = torch.randn(30, B, INPUTS, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(30, B, OUTPUTS, dtype=torch.float64)
    results = []
    for shortest in (filters.SPECTRAL, 1000):
        monkeypatch.setattr("neurodyn.layers.delay.SPECTRAL", shortest)
        y = layer(x)
        layer.calls.sub_(1)
        results.append((y, *torch.autograd.grad(y, [x, *layer.parameters()], upstream)))
    assert forms == ["spectral_filter", "causal_filter"]
    torch.testing.assert_close(*results, rtol=0, atol=1e-12)


def test_which_form_learned_delays_take(forms):
    layer, long = LearnedDelays(INPUTS, OUTPUTS, order=20), torch.randn(30, B, INPUTS)
    layer(long)
    assert forms.pop() == "spectral_filter"
    layer(long[:5])
    assert forms.pop() == "causal_filter"
    with torch.autocast("cpu", torch.bfloat16):
        layer(long)
    assert forms.pop() == "causal_filter"
    layer.eval()(long)
    assert forms.pop() == "causal_filter"
    layer.bfloat16().train()(long.bfloat16())
    assert forms.pop() == "causal_filter"


def test_training_in_chunks(forms):
    layer = LearnedDelays(INPUTS, OUTPUTS, order=20)
    x = torch.randn(60, B, INPUTS)
    kept = layer.calls.clone()
    whole = layer(x)
    outputs, state = [], None
    for chunk in x.split(25):
        layer.calls.copy_(kept)
        out, state = layer(chunk, state, return_state=True)
        outputs.append(out)
    assert forms == ["spectral_filter"] * 3 + ["causal_filter"]
    torch.testing.assert_close(torch.cat(outputs), whole, rtol=0, atol=1e-5)


def test_in_evaluation_later_steps_change_nothing_before():
    layer = LearnedDelays(INPUTS, OUTPUTS, order=20).eval()
    x = torch.randn(40, B, INPUTS)
    other = torch.cat([x[:30], torch.full((10, B, INPUTS), torch.inf)])
    assert torch.equal(layer(other)[:30], layer(x)[:30])


def test_compiled_training():
    layer = LearnedDelays(INPUTS, OUTPUTS, order=20).double()
    x = torch.randn(30, B, INPUTS, dtype=torch.float64, requires_grad=True)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    results = []
    for form in (layer, compiled):
        y = form(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
        layer.calls.zero_()
    torch.testing.assert_close(*results)
