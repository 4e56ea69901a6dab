import pytest
import torch
from torch import nn

from neurodyn.analysis import ActivityMeter, operations
from neurodyn.layers import TimeDistributed, repeat
from neurodyn.neurons import IF, LIF, LNM, PLIF, QIF, Neuron


class Spikes(nn.Module):
    """Half of the inputs spike at every step."""

    def forward(self, x):
        out = torch.zeros_like(x)
        out[..., ::2] = 1
        return out


def test_counts_by_hand():
    net = nn.Sequential(
        TimeDistributed(nn.Linear(3, 4)), Spikes(), TimeDistributed(nn.Linear(4, 5)), LIF()
    )
    with torch.no_grad():
        net[2][0].bias.fill_(5.0)  # everything fires
        net[2][0].weight.fill_(0.0)
        with ActivityMeter(net) as meter:
            net(torch.rand(6, 2, 3))
    activity = meter.activity
    assert activity.samples == 2
    assert activity.macs == 6 * (3 * 4 + 4 * 5)
    assert activity.sops == 6 * 2 * 5
    assert activity.updates == 6 * 5
    assert activity.rate == 1
    expected = 60 * 0.9 + 30 * (3.7 + 0.9) + 72 * 4.6
    assert activity.energy == pytest.approx(expected)


def test_a_static_first_layer_is_paid_once():
    net = nn.Sequential(TimeDistributed(nn.Linear(3, 4)), LIF())
    with ActivityMeter(net) as meter:
        net(repeat(torch.rand(2, 3), 6))
    assert meter.activity.macs == 12


def test_convolution():
    net = TimeDistributed(nn.Conv2d(4, 6, 3, groups=2, bias=False))
    with ActivityMeter(net) as meter:
        net(torch.rand(1, 1, 4, 5, 5))
    assert meter.activity.macs == 6 * 9 * 2 * 9


def test_hooks_are_gone_afterwards():
    net = nn.Sequential(LIF())
    with ActivityMeter(net) as meter:
        net(torch.rand(2, 1, 3))
    before = meter.activity.updates
    net(torch.rand(2, 1, 3))
    assert meter.activity.updates == before


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [(IF(), (0, 1)), (LIF(), (1, 1)), (PLIF(), (1, 1)), (QIF(), (2, 2)), (LNM(), (3, 3))],
)
def test_operations_of_the_paper(neuron, expected):
    assert operations(neuron) == expected


@pytest.mark.parametrize("per", ["layer", "neuron"])
def test_operations_of_any_step(per):
    class Mine(Neuron):
        def step(self, x, u):
            return self.fire(0.5 * u + x + 0.1 * u * u)

    assert operations(Mine(7, per=per)) == (3, 2)


@pytest.mark.parametrize(
    ("gigaops", "meganeurons", "steps", "rate", "percent"),
    [
        (2.216, 1.377, 4, 0.10, 6.10),
        (2.216, 1.377, 4, 0.20, 3.11),
        (1.362, 0.922, 10, 0.15, 4.51),
    ],
)
def test_energy_of_cubic_over_lif(gigaops, meganeurons, steps, rate, percent):
    """The LNM paper's 2 to 5.5 %, by the formula of this module."""
    from neurodyn.analysis.energy import Activity, LayerActivity

    def energy(ops):
        layers = {
            "synapses": LayerActivity(
                macs=steps * gigaops * 1e9, sops=rate * steps * gigaops * 1e9
            ),
            "neurons": LayerActivity(updates=steps * meganeurons * 1e6, operations=ops),
        }
        return Activity(samples=1, layers=layers).energy

    assert 100 * (energy((3, 3)) / energy((1, 1)) - 1) == pytest.approx(percent, abs=0.15)
