"""Derived surrogate widths: closed forms, quadrature and simulation agree."""

import pytest
import torch

from neurodyn.neurons import IF, LIF, LNM, PLIF, QIF, Neuron, window
from neurodyn.surrogate import Rectangle

CUBIC = (0.05, -0.9, 0.3, -0.1)


@pytest.mark.parametrize(
    "neuron",
    [
        IF(),
        LIF(tau=3.0),
        LIF(decay_input=True),
        PLIF(threshold=0.7),
        QIF(),
        QIF(threshold=2.0),
        LNM(start=CUBIC, clip="none"),
        LNM(start=CUBIC, clip="none", threshold=0.6),
        LNM(start="spread", clip="none", tau=(9.0, 20.0), threshold=0.6),
        LNM(degree=5, start=(*CUBIC, 0.02, 0.01), clip="none", form="absorbed"),
    ],
)
def test_closed_form_equals_quadrature(neuron):
    torch.testing.assert_close(neuron.variance(), Neuron.variance(neuron), rtol=1e-5, atol=1e-6)


def test_numbers_of_the_papers():
    assert QIF().variance().item() == pytest.approx(1.890625)
    assert LIF(tau=2.0).variance().item() == pytest.approx(1.25), "LSG: V_th^2 (1 + lambda^2)"
    d1, d2, d3 = 0.5, 0.3, -0.1
    expected = 1 + d1**2 + 2 * d2**2 + 6 * d1 * d3 + 15 * d3**2
    lnm = LNM(form="absorbed", start=(0.2, d1, d2, d3), clip="none")
    assert lnm.variance().item() == pytest.approx(expected)


@pytest.mark.parametrize("neuron", [LIF(), QIF(), LNM(start="qif")])
def test_with_reset_agrees_with_simulation(neuron):
    x = torch.randn(4, 400_000)
    u = neuron.record(x[:3])["u"][-1]
    simulated = neuron.charge(x[3], u)[0].var()[None]
    derived = neuron.variance(with_reset=True)
    torch.testing.assert_close(derived, simulated, rtol=0.02, atol=0)


AFFINE = (torch.tensor([0.5]), torch.tensor([0.1]))


@pytest.mark.parametrize("clip", ["hard", "smooth", "none"])
def test_variance_sees_the_clip(clip):
    neuron = LNM(start=(0.0, -1.0, 0.5, -0.5), clip=clip, clip_range=1.0)
    x, u = torch.randn(2, 1_000_000).unbind(0)
    simulated = neuron.charge(x, u)[0].var()[None]
    torch.testing.assert_close(neuron.variance(), simulated, rtol=0.02, atol=0)
    with_floor = QIF(lower=0.0)
    simulated = with_floor.charge(x, u)[0].var()[None]
    torch.testing.assert_close(with_floor.variance(), simulated, rtol=0.02, atol=0)


@pytest.mark.skipif(torch.__version__ < (2, 12), reason="Dynamo cannot copy a module")
@pytest.mark.parametrize("option", ["derived", "derived-reset"])
@pytest.mark.parametrize("neuron", [QIF, LNM])
@pytest.mark.parametrize("given", [{}, {"drive": torch.ones(20, 2, 5)}, {"affine": AFFINE}])
def test_derived_windows_compile_in_one_graph(neuron, option, given):
    torch._dynamo.reset()
    neuron = neuron(surrogate=Rectangle(option))
    x = torch.randn(20, 2, 5, requires_grad=True)
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    for threshold in (1.0, 0.5):
        neuron.threshold.fill_(threshold)
        spikes, expected = compiled(x, **given), neuron(x, **given)
        assert torch.equal(spikes, expected)
        grads = [torch.autograd.grad(s.sum(), x)[0] for s in (spikes, expected)]
        torch.testing.assert_close(*grads)


@pytest.mark.parametrize("option", ["derived", "derived-reset"])
def test_width_follows_the_parameters(option):
    neuron = QIF(surrogate=Rectangle(option))
    first = neuron.width().item()
    with_reset = option == "derived-reset"
    assert first == pytest.approx(2 * neuron.variance(with_reset=with_reset).sqrt().item())
    with torch.no_grad():
        neuron.a.fill_(0.5)
    assert neuron.width().item() != pytest.approx(first, rel=1e-3)


def test_backward_uses_the_derived_width():
    x = torch.tensor([[0.5]], requires_grad=True)
    neuron = LIF(surrogate=Rectangle("derived"))
    neuron(x).sum().backward()
    assert x.grad.item() == pytest.approx(1 / (2 * 1.25**0.5))


def test_widths_of_channels():
    neuron = LNM((3, 4, 4), per="channel", surrogate=Rectangle("derived"))
    with torch.no_grad():
        neuron.c[2].copy_(torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1))
    widths = neuron.width()
    assert widths.shape == (3, 1, 1)
    assert widths.flatten().diff().min() > 0


@pytest.mark.parametrize("per", ["channel", "neuron"])
def test_generic_variance_of_any_granularity(per):
    neuron = QIF((3, 2, 2), per=per)
    for with_reset in (False, True):
        value = Neuron.variance(neuron, with_reset=with_reset)
        assert value.shape == neuron.a.shape
        reference = Neuron.variance(QIF(), with_reset=with_reset)
        torch.testing.assert_close(value, reference.expand(value.shape))


def test_what_an_evaluation_makes_serves_training():
    window._normal.cache_clear()
    neuron = LNM(surrogate=Rectangle("derived-reset"))
    with torch.inference_mode():
        neuron(torch.randn(3, 2, 5))
    neuron(torch.randn(3, 2, 5)).sum().backward()
    assert all(p.grad is not None for p in neuron.parameters())
