"""Sums per sample, and their table."""

import pytest
import torch
from torch import nn

from neurodyn.analysis import ActivityMeter
from neurodyn.layers import TimeDistributed, repeat
from neurodyn.models import MSResNet
from neurodyn.neurons import LIF


class Repeats(nn.Module):
    """Takes images `(B, ...)`, and shows them several times."""

    def __init__(self, T=4):
        super().__init__()
        self.T = T
        self.body = nn.Sequential(TimeDistributed(nn.Linear(5, 6)), LIF())

    def forward(self, x):
        return self.body(repeat(x, self.T)).mean(0)


@pytest.mark.parametrize("batch", [1, 32])
def test_samples_are_those_that_the_neurons_see(batch):
    net = Repeats()
    with ActivityMeter(net) as meter:
        net(torch.rand(batch, 5))
        net(torch.rand(batch, 5))
    assert meter.activity.samples == 2 * batch
    assert meter.activity.energy == pytest.approx(5 * 6 * 4.6 + 4 * 6 * (3.7 + 0.9))


def test_a_loop_over_time_outside_the_neuron():
    class Loop(Repeats):
        def forward(self, x):
            state, out = None, 0
            for _ in range(self.T):
                s, state = self.body[1](self.body[0](x[None]), state, return_state=True)
                out = out + s
            return out

    net = Loop()
    with ActivityMeter(net) as meter:
        net(torch.rand(3, 5))
    assert meter.activity.samples == 3
    assert meter.activity.updates == 4 * 6


def test_inputs_by_name():
    class Named(Repeats):
        def forward(self, x):
            return self.body[1](x=self.body[0][0](input=repeat(x, self.T)))

    net = Named()
    with ActivityMeter(net) as meter:
        net(torch.ones(3, 5))
    assert meter.activity.samples == 3
    assert meter.activity.sops == 4 * 5 * 6


def test_samples_that_cannot_be_seen_must_be_told():
    class Patches(Repeats):
        """Half of the network sees both halves of a sample as samples."""

        def forward(self, x):
            return self.body[1](super().forward(x.unflatten(0, (2, -1)).flatten(0, 1))[None, :1])

    net = Patches()
    with (
        ActivityMeter(net) as meter,
        pytest.raises(
            ValueError,
            match=r"^samples: expected one batch size .* got 4 in 'body.1' and 1 in 'body.1'; tell "
            r"it as ActivityMeter\(model, samples=...\)",
        ),
    ):
        net(torch.rand(4, 5))
    with ActivityMeter(net, samples=2) as meter:
        net(torch.rand(4, 5))
    assert meter.activity.samples == 2
    with ActivityMeter(net, samples=lambda x: len(x) // 2) as meter:
        net(torch.rand(4, 5))
        net(torch.rand(8, 5))
    assert meter.activity.samples == 6

    dense = nn.Linear(3, 4)
    with ActivityMeter(dense), pytest.raises(ValueError, match="got no neurons that ran"):
        dense(torch.rand(8, 3))
    with ActivityMeter(dense, samples=len) as meter:
        dense(torch.rand(8, 3))
    assert meter.activity.macs == 12
    with pytest.raises(ValueError, match="samples: expected at least 1 per call, got 0"):
        ActivityMeter(dense, samples=0)


def test_table_by_hand():
    net = nn.Sequential(TimeDistributed(nn.Linear(3, 4)), LIF(), TimeDistributed(nn.Linear(4, 300)))
    with torch.no_grad():
        net[0][0].weight.zero_()
        net[0][0].bias.fill_(5.0)  # everything fires
        with ActivityMeter(net) as meter:
            net(torch.rand(6, 2, 3))
    assert (
        meter.activity.table()
        == """\
| layer | spikes |  rate |  SOPs |  MACs | updates | energy [nJ] | share [%] |
| ----- | -----: | ----: | ----: | ----: | ------: | ----------: | --------: |
| 0.0   |        |       |       |    72 |         |         0.3 |       4.8 |
| 1     |     24 | 1.000 |       |       |      24 |         0.1 |       1.6 |
| 2.0   |        |       | 7,200 | 7,200 |         |         6.5 |      93.6 |
| total |     24 | 1.000 | 7,200 | 7,272 |      24 |         6.9 |     100.0 |"""
    )


def test_the_rows_sum_to_the_total():
    net = MSResNet(LIF, shape=(3, 32, 32), depth=18, width=0.05).eval()
    with ActivityMeter(net) as meter, torch.no_grad():
        net(torch.rand(2, 2, 3, 32, 32))
    activity = meter.activity
    assert sum(layer.energy for layer in activity.layers.values()) / 2 == pytest.approx(
        activity.energy
    )
    cells = [row.split("|")[1:-1] for row in activity.table().splitlines()[2:]]
    numbers = [[float(c.strip().replace(",", "") or 0) for c in row[1:]] for row in cells]
    *rows, total = numbers
    assert len(rows) == len(activity.layers)
    for column, tolerance in ((2, 0.5), (3, 0.5), (4, 0.5), (5, 0.05), (6, 0.05)):
        parts = sum(row[column] for row in rows)
        assert parts == pytest.approx(total[column], abs=tolerance * (len(rows) + 1))


def test_the_table_of_nothing():
    with ActivityMeter(nn.Identity()) as meter:
        pass
    assert "| total |" in meter.activity.table()
