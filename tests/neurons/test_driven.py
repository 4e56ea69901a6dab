"""An affine map in front of a neuron, in its kernel."""

import pytest
import torch

from neurodyn.neurons import LIF, LNM, MultiTimescale, Neuron

SHAPE = (3, 2, 4, 5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("kind", [LIF, LNM, MultiTimescale])
@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("shape", [(), (4, 1), (2, 4, 5)])
def test_affine_is_a_map_of_the_input(shape, driven, kind, backend):
    neuron = kind(backend=backend).double()
    torch.manual_seed(0)
    x, drive = torch.randn(2, *SHAPE, dtype=torch.float64, requires_grad=True)
    drive = drive if driven else None
    scale, shift = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    leaves = [scale, shift, *neuron.parameters()]
    weight = torch.randn(SHAPE, dtype=torch.float64)

    inside = neuron(x, drive=drive, affine=(scale, shift))
    outside = neuron(scale * x + shift, drive=drive)
    assert torch.equal(inside, outside)
    got, expected = (
        torch.autograd.grad((y * weight).sum(), leaves, allow_unused=True, retain_graph=True)
        for y in (inside, outside)
    )
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_an_affine_map_has_to_broadcast_to_a_step():
    with pytest.raises(ValueError, match=r"affine: expected a scale that broadcasts to \(2, 4\)"):
        LIF()(torch.randn(3, 2, 4), affine=(torch.ones(3), torch.zeros(())))
    with pytest.raises(ValueError, match="affine: expected a shift"):
        LIF()(torch.randn(3, 2, 4), affine=(torch.ones(4), torch.zeros(3, 2, 4)))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("driven", [False, True])
def test_a_record_has_the_charged_membrane(backend, driven):
    neuron = LIF(tau=2.0, threshold=0.8, backend=backend).double()
    x, drive = (torch.randn(9, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    record = neuron.record(x, drive=drive if driven else None)
    u, expected = torch.zeros(2, 3, dtype=torch.float64), []
    for step, more in zip(x, drive, strict=True):
        h = neuron.charge(step, u)[0] + (more if driven else 0)
        u = h * (h < 0.8)
        expected.append(h)
    torch.testing.assert_close(record["h"], torch.stack(expected))
    assert torch.equal(record["spikes"], (record["h"] >= 0.8).double())
    (gradient,) = torch.autograd.grad(record["h"].square().sum(), x)
    assert gradient.abs().sum() > 0


def test_a_step_without_a_charged_membrane_has_none_in_its_record():
    class Mine(Neuron):
        def step(self, x, u):
            return (u + x >= 1).to(x.dtype), u + x

    assert list(Mine().record(torch.randn(4, 2, 3))) == ["spikes", "u"]
