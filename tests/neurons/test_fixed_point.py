"""Rounding what the equations compute with."""

import copy
import math

import pytest
import torch
from torch import nn

from neurodyn.learned import Learned
from neurodyn.models import SequenceNet
from neurodyn.neurons import (
    EIF,
    GLIF,
    LIF,
    LNM,
    PLIF,
    AdLIF,
    CubaLIF,
    MultiTimescale,
    Neuron,
    round_dynamics,
)
from neurodyn.surrogate import Triangle


def on_grid(value, bits):
    scaled = value.detach().double() * 2**bits
    return bool((scaled - scaled.round()).abs().max() < 1e-3)


def test_decays_are_rounded_and_not_the_parameters_behind_them():
    neuron = MultiTimescale((50,), per="neuron", tau_mem=(2.0, 60.0), tau_syn=(1.1, 9.0), decay=0.3)
    changes = round_dynamics(neuron, bits=8)
    for value in (1 / neuron.tau_mem, 1 / neuron.tau_syn, neuron.decay):
        assert on_grid(value, 8)
    assert not on_grid(neuron.raw_tau_mem, 8)
    assert 0.25 / 2**8 < changes["tau_mem"] <= 0.5 / 2**8


@pytest.mark.parametrize("kind", [PLIF, CubaLIF, AdLIF, GLIF, LNM])
def test_fine_rounding_changes_little_and_coarse_keeps_decays_inside(kind):
    torch.manual_seed(0)
    x = torch.randn(20, 4, 10)
    neuron = kind((10,), per="neuron", backend="reference")
    rounded = copy.deepcopy(neuron)
    assert max(round_dynamics(rounded, bits=20).values()) <= 2.0**-21
    assert (rounded(x) != neuron(x)).float().mean() < 0.02
    round_dynamics(rounded, bits=1)
    assert all(torch.isfinite(value).all() for value in rounded.state_dict().values())


def test_a_network_is_rounded_by_name_without_its_windows_and_synapses():
    net = SequenceNet(lambda f: CubaLIF(f, surrogate=Triangle(0.7071)), (6,), 3, (5, 4))
    before = copy.deepcopy(net.state_dict())
    changes = round_dynamics(net, bits=3)
    assert {"body.2.tau_mem", "body.5.threshold", "body.2.u_0"} <= set(changes)
    assert not [name for name in changes if "spike" in name or "weight" in name]
    for name, value in net.state_dict().items():
        if name.replace("raw_", "") not in changes:
            assert torch.equal(value, before[name]), name
    torch.testing.assert_close(1 / net.body[2].tau_syn, torch.tensor([0.25]))


def test_a_decay_never_becomes_none_or_all():
    slow = CubaLIF(tau_mem=1000.0)
    round_dynamics(slow, bits=4)
    assert math.isclose(slow.tau_mem.item(), 16, rel_tol=1e-5)


def test_what_the_equation_multiplies_is_rounded():
    """A sharpness, and not the logarithm behind it; a leak, and not the time constant."""
    neuron = EIF(delta=0.2, tau=3.0)
    round_dynamics(neuron, bits=4)
    assert neuron.delta.item() == pytest.approx(3 / 16)
    assert 1 / neuron.tau.item() == pytest.approx(5 / 16)
    fixed = LIF(tau=3.0)
    round_dynamics(fixed, bits=4)
    assert fixed.leak.item() == pytest.approx(5 / 16)


def test_bounds_that_are_no_multiples_and_vectors():
    edge = AdLIF(beta=0.96)
    round_dynamics(edge, bits=12)
    assert on_grid(edge.beta, 12)
    assert edge.beta >= 0.96

    class Shares(Neuron):
        c = Learned([0.3, 0.61], low=0.0, high=1.0, vector=True)

        def step(self, x, u):
            return self.fire(self.c[0] * u + self.c[1] * x)

    neuron = Shares()
    changes = round_dynamics(neuron, bits=4)
    assert [c.item() for c in neuron.c] == pytest.approx([5 / 16, 10 / 16])
    assert changes["c.0"] == pytest.approx(5 / 16 - 0.3, abs=1e-6)


def test_bits():
    with pytest.raises(ValueError, match="bits: expected at least 1, got 0"):
        round_dynamics(nn.Identity(), bits=0)
