"""Penalties and their gradients, against arithmetic by hand."""

import copy

import pytest
import torch
from torch import nn

from neurodyn.layers import CSGRU, Bounds, Delayed, FiringRate, Recurrent, Regulariser, SpikGRU2
from neurodyn.models import SequenceNet
from neurodyn.neurons import IF, LIF, DecayLIF, MultiTimescale


def test_rates_outside_of_their_bounds_cost_their_square():
    layer = IF(threshold=1.0)
    rates = FiringRate(low=0.2, high=0.5, weight=3.0)
    rates.attach(layer)
    x = torch.zeros(4, 1, 3)
    x[:, :, 1] = 1.0  # fires at every step
    x[0, :, 2] = 1.0  # fires once in four
    layer(x)
    assert rates().item() == pytest.approx(3 * (0.2**2 + 0.5**2 + 0) / 3)


def test_graded_spikes_count_each_and_without_a_bound_cost_nothing():
    layer = IF(reset="soft", emission="graded")
    rates, free = FiringRate(high=0.5), FiringRate()
    rates.attach(layer)
    free.attach(layer)
    x = torch.full((4, 1, 1), 3.0).requires_grad_()
    layer(x)
    assert rates().item() == pytest.approx(2.5**2)
    free().backward()
    assert (x.grad == 0).all()


def test_a_neuron_that_is_silent_is_driven_up_and_a_busy_one_down():
    net = nn.Sequential(nn.Linear(5, 2), LIF())
    rates = FiringRate(low=0.3, high=0.4)
    rates.attach(net)
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([0.2, 0.9]))
        net[0].weight.mul_(0.1)
    net(torch.rand(20, 4, 5))
    rates().backward()
    assert net[0].bias.grad[0] < 0
    assert net[0].bias.grad[1] > 0


@pytest.mark.parametrize(
    "layer",
    [
        Delayed(4, order=2),
        Recurrent(4),
        CSGRU(4, 4),
        SpikGRU2(4, 4, signed=True),
        nn.Sequential(LIF(), nn.Flatten(2)),
    ],
    ids=["delayed", "recurrent", "gated", "signed", "nested"],
)
def test_a_layer_around_a_neuron_counts_once(layer):
    rates = FiringRate(high=0.0)
    rates.attach(layer)
    spikes = layer(2 * torch.rand(6, 3, 4))
    assert rates().item() == pytest.approx((spikes.abs().mean((0, 1)) ** 2).mean().item())


def test_layers_add_up_and_each_call_starts_from_zero():
    layer = IF()
    rates = FiringRate(high=0.0)
    rates.attach(nn.ModuleList([layer, layer]))
    once = nn.Sequential(IF(), IF())
    rates.attach(once)
    once(torch.ones(2, 1, 1))
    assert rates().item() == 2
    once(torch.ones(2, 1, 1))
    assert rates().item() == 2
    with pytest.raises(RuntimeError, match="expected a pass of the attached model in training"):
        rates()
    once.eval()(torch.ones(2, 1, 1))
    with pytest.raises(RuntimeError, match="expected a pass"):
        rates()


def test_copies_watch_themselves():
    net = nn.Sequential(IF())
    net.rates = FiringRate(high=0.0)
    net.rates.attach(net)
    twin = copy.deepcopy(net)
    twin[0](torch.ones(2, 1, 1))
    assert twin.rates().item() == 1
    with pytest.raises(RuntimeError, match="expected a pass"):
        net.rates()


def test_bounds_of_a_time_constant():
    neuron = MultiTimescale(3, per="neuron", tau_mem=8.0)
    bounds = Bounds("tau_mem", low=2.0, high=5.0, weight=0.5)
    bounds.attach(nn.Sequential(LIF(), neuron))
    assert bounds().item() == pytest.approx(0.5 * 3**2)
    bounds().backward()
    assert (neuron.raw_tau_mem.grad > 0).all(), "downhill is towards the bound"
    with torch.no_grad():
        neuron.raw_tau_mem.fill_(-10.0)
    assert bounds().item() == pytest.approx(0.5 * 1, rel=1e-3)
    with torch.no_grad():
        neuron.raw_tau_mem.fill_(2.0)
    assert bounds() == 0


def test_bounds_of_a_parameter_that_is_clamped():
    """The clamp has no gradient beyond its ends; the penalty brings the parameter back."""
    neuron = DecayLIF(alpha=(0.4, 0.9))
    bounds = Bounds("raw_alpha", 0.4, 0.9)
    bounds.attach(neuron)
    with torch.no_grad():
        neuron.raw_alpha.fill_(1.2)
    bounds().backward()
    assert neuron.raw_alpha.grad.item() == pytest.approx(0.6)


def test_a_network_is_held_within_its_rates():
    torch.manual_seed(0)
    net = SequenceNet(MultiTimescale, shape=(6,), classes=2, widths=(8,))
    terms: list[Regulariser] = [FiringRate(0.05, 0.2), Bounds("tau_mem", 2.0, 20.0)]
    for term in terms:
        term.attach(net)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    x = torch.rand(20, 16, 6)
    losses = []
    for _ in range(15):
        net(x)
        loss = sum(term() for term in terms)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FiringRate(0.5, 0.2), "low, high: expected 0 <= low <= high <= 1"),
        (lambda: FiringRate().attach(nn.Linear(2, 2)), "model: expected spiking layers"),
        (lambda: Bounds("tau", 3.0, 2.0), "low, high: expected low <= high, got 3.0 and 2.0"),
        (lambda: Bounds("tau_mem").attach(LIF()), "name: no neuron of the model has 'tau_mem'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bounds_need_a_model():
    with pytest.raises(RuntimeError, match="expected attach"):
        Bounds("tau")()
