"""Networks at shorter steps."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from neurodyn.convert import compare_steps, steps_table
from neurodyn.convert.trained.finer import Finer
from neurodyn.layers import Delayed, Recurrent
from neurodyn.models import SequenceNet
from neurodyn.neurons import neurons_of
from tests.convert.trained.networks import SOFT, dense, digits, trained


@pytest.mark.parametrize("name", SOFT)
def test_a_factor_of_one_changes_nothing(name):
    net, x = dense(SOFT[name]).double().eval(), torch.randn(20, 4, 7, dtype=torch.float64)
    torch.testing.assert_close(Finer(net, 1)(x), net(x))


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("factor", [2, 5])
def test_a_current_charges_the_membrane_as_much(name, factor):
    """Without spikes, a constant input gives the same membrane at the ends of long steps."""
    net = nn.Sequential(nn.Linear(2, 3), SOFT[name]((3,))).double()
    net[1].threshold = 100.0
    x = torch.randn(1, 4, 2, dtype=torch.float64).expand(6, 4, 2)
    finer = Finer(net, factor)
    seen = []
    neuron = finer.network[1].neuron
    neuron.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    finer(x)
    fine = neuron.record(seen[0])["u"][factor - 1 :: factor]
    torch.testing.assert_close(fine, net[1].record(net[0](x))["u"])


@pytest.mark.parametrize("name", SOFT)
def test_a_spike_gives_all_of_its_charge_at_once(name):
    net = nn.Sequential(SOFT[name]((1,)), nn.Linear(1, 1), SOFT[name]((1,))).double()
    net[2].threshold = 100.0
    with torch.no_grad():
        net[1].bias.zero_()
    x = torch.zeros(5, 1, 1, dtype=torch.float64)
    x[1] = 40 * net[0].threshold  # Fires in every short step.
    counts, seen = [], []
    finer = Finer(net, 4)
    first, second = (neuron for _, neuron in neurons_of(finer))
    first.register_forward_hook(lambda _, given, out: counts.append(out.sum()))
    second.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    finer(x)
    weight = net[1].weight.item()
    leak = 1.0
    if hasattr(net[2], "alpha"):
        leak = ((1 - net[2].alpha) / (1 - second.alpha)).item()
    elif getattr(net[2], "decay_input", False):
        leak = (net[2].leak / second.leak).item()
    assert counts[0] >= 4
    assert seen[0].sum().item() == pytest.approx(counts[0].item() * weight * leak)


def test_biases_are_a_current_and_those_of_the_output_count_once():
    net = nn.Sequential(nn.Linear(2, 3), SOFT["IF"]((3,)), nn.Linear(3, 2))
    x = torch.zeros(4, 2, 2)
    with torch.no_grad():
        net[0].bias.fill_(1.0)
        expected = 4 * net[2](torch.ones(3))
    for factor in (1, 2, 4):  # Powers of two: a quarter, four times, is one.
        torch.testing.assert_close(
            Finer(net, factor)(x).sum(0), expected.expand(2, 2), atol=1e-5, rtol=1e-5
        )


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("IF", "DecayLIF")]


@pytest.mark.parametrize("name", ["LIF", *SLOW])
def test_binary_emission_costs_less_and_less(name):
    net, (_, test) = trained(name), digits()
    reports = compare_steps(net, test, (1, 2, 4, 8))
    wrong = [1 - report.counts for report in reports.values()]
    assert wrong[0] > 0.1
    assert all(later < 0.75 * sooner for sooner, later in pairwise(wrong))
    assert wrong[-1] < 0.25 * wrong[0]
    assert reports[8].first > 0.99
    assert reports[8].classes > 0.99
    assert reports[8].accuracy("twin") > 0.9
    lines = steps_table(reports).splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("| 1/8")


def test_a_network_of_the_package_and_its_names():
    net = SequenceNet(SOFT["LIF"], shape=(3,), classes=2, widths=(8, 6), gain=2.0).eval()
    before = copy.deepcopy(net.state_dict())
    report = compare_steps(net, [torch.randn(9, 3, 3)], [2])[2]
    assert [layer.neurons for layer in report.layers] == [8, 6]
    assert before.keys() == net.state_dict().keys()


def test_mistakes():
    net = dense(SOFT["IF"])
    with pytest.raises(ValueError, match="factor: expected at least 1, got 0"):
        Finer(net, 0)
    with pytest.raises(ValueError, match="'the network', Recurrent, has delays in steps"):
        Finer(Recurrent(3, neuron=SOFT["IF"]), 2)
    with pytest.raises(ValueError, match=r"'0\.line', DelayLine, has delays in steps"):
        Finer(nn.Sequential(Delayed(3, neuron=SOFT["IF"], order=2)), 2)
    batch = (torch.zeros(4, 2, 7), None, torch.tensor([3, 4]))
    with pytest.raises(ValueError, match="batches: expected sequences without padding"):
        compare_steps(net, [batch])
