"""What the meter does not count is named."""

import copy
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from neurodyn.analysis import ActivityMeter
from neurodyn.layers import (
    CSGRU,
    Delayed,
    DelayLine,
    LeakyMax,
    LearnedDelays,
    Recurrent,
    SpikGRU2,
    TimeDistributed,
)
from neurodyn.models import ConvNet, GatedNet, SequenceNet, Spikformer
from neurodyn.neurons import LIF, LNM, SpikingLayer
from neurodyn.surrogate import Triangle


class Own(nn.Module):
    """Parameters and products outside the layers that are known."""

    def __init__(self, product):
        super().__init__()
        self.product = product
        self.weight = nn.Buffer(torch.rand(3, 3))
        self.neuron = LIF()

    def forward(self, x):
        return self.neuron(self.product(x, self.weight))


def uncounted(net, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ActivityMeter(net) as meter, torch.no_grad():
            net(x)
    return meter.activity.uncounted


@pytest.mark.parametrize(
    ("product", "name"),
    [
        (lambda x, w: x @ w, "matmul"),
        (lambda x, w: torch.matmul(x, w), "matmul"),
        (lambda x, w: w @ x.transpose(1, 2), "matmul"),
        (lambda x, w: torch.einsum("tbi,io->tbo", x, w), "einsum"),
        (lambda x, w: torch.tensordot(x, w, 1), "tensordot"),
        (lambda x, w: F.linear(x, w), "linear"),
        (lambda x, w: torch.addmm(x[0], x[0], w)[None], "addmm"),
        (lambda x, w: torch.bmm(x, w.expand(len(x), 3, 3)), "bmm"),
        (lambda x, w: F.conv1d(x, w[:, :, None].expand(3, 3, 1))[..., :3], "conv1d"),
        (lambda x, w: F.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention"),
    ],
)
def test_functional_products(product, name):
    net = nn.Sequential(TimeDistributed(nn.Linear(3, 3)), Own(product))
    assert uncounted(net, torch.rand(4, 3, 3)) == [f"1: {name}"]


def test_unknown_modules_are_named_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.attention = nn.MultiheadAttention(4, 2)
            self.memory = nn.LSTM(4, 4)
            self.unused = nn.Bilinear(4, 4, 4)
            self.neuron = LIF()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            x = self.norm(self.scale * x)
            return self.neuron(self.memory(self.attention(x, x, x)[0])[0])

    names = ["(model)", "norm", "attention", "memory"]
    assert uncounted(Net(), torch.rand(3, 2, 4)) == names


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (ConvNet(LNM, shape=(1, 8, 8)), torch.rand(2, 1, 1, 8, 8)),
        (SequenceNet(Recurrent, shape=(3,), widths=(4,)), torch.rand(2, 2, 3)),
        (SequenceNet(Delayed, shape=(3,), widths=(4,)), torch.rand(2, 2, 3)),
        (
            SequenceNet(shape=(3,), widths=(4,), synapses=lambda i, o: LearnedDelays(i, o, 3)),
            torch.rand(2, 2, 3),
        ),
        (GatedNet(CSGRU, shape=(2, 6, 6), hidden=4), torch.rand(2, 1, 2, 6, 6)),
        (GatedNet(SpikGRU2, shape=(2, 6, 6), hidden=4, kernel=None), torch.rand(2, 1, 2, 6, 6)),
        (Spikformer(shape=(3, 16, 16), channels=16, depth=1, heads=2), torch.rand(1, 1, 3, 16, 16)),
        (
            nn.Sequential(
                TimeDistributed(weight_norm(nn.Linear(3, 4))), LIF(surrogate=Triangle("derived"))
            ),
            torch.rand(2, 1, 3),
        ),
    ],
)
def test_everything_of_this_package_is_counted(net, x):
    assert uncounted(net.eval(), x) == []


def test_a_layer_that_hides_its_product():
    class Mixed(SpikingLayer):
        def __init__(self):
            super().__init__()
            self.neuron, self.w = LIF(), nn.Parameter(torch.rand(3, 3))

        def forward(self, x, state=None, *, return_state=False):
            return self.neuron(x @ self.w, state, return_state=return_state)

    assert uncounted(Mixed(), torch.rand(2, 1, 3)) == ["(model)"]

    Mixed.operations = (1, 1)  # its parameters are declared, and so counted; its product is not
    assert uncounted(Mixed(), torch.rand(2, 1, 3)) == ["(model): matmul"]

    class Cell(SpikGRU2):
        def step(self, x, s, i, v):
            i, z, _ = (x + self.recurrent(s) + torch.cat([s @ torch.eye(4)] * 3, 1)).chunk(3, 1)
            return self.fire(s, i, v, torch.sigmoid(z))

    assert uncounted(nn.Sequential(Cell(2, 4)), torch.rand(2, 1, 2)) == ["0: matmul"]


def test_delays_and_read_outs_alone():
    net = nn.Sequential(DelayLine(3, 2), LIF(), LeakyMax(3))
    assert uncounted(net, torch.rand(4, 2, 3)) == ["0", "2"]


def test_the_warning_comes_once_and_the_table_says_it():
    net = nn.Sequential(Own(torch.matmul))
    with ActivityMeter(net) as meter:
        with pytest.warns(UserWarning, match=r"leave out what the meter cannot count: 0: matmul"):
            net(torch.rand(2, 1, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net(torch.rand(2, 1, 3))
    assert meter.activity.table().endswith("\n\nNot counted: 0: matmul.")


def test_nothing_listens_after_a_call_even_one_that_failed():
    net = nn.Sequential(LIF())
    with ActivityMeter(net) as meter:
        with pytest.raises(ValueError, match="x: expected"):
            net(torch.rand(3))
        assert torch.overrides._get_current_function_mode_stack() == []
        torch.rand(3, 3) @ torch.rand(3, 3)
        net(torch.rand(2, 1, 3))
    torch.rand(3, 3) @ torch.rand(3, 3)
    assert torch.overrides._get_current_function_mode_stack() == []
    assert meter.activity.uncounted == []
    assert meter.activity.samples == 1


def test_a_meter_can_be_copied_and_pickled():
    meter = ActivityMeter(nn.Sequential(Own(torch.matmul)))
    for twin in (copy.deepcopy(meter), pickle.loads(pickle.dumps(meter))):
        with pytest.warns(UserWarning, match="0: matmul"), twin:
            twin.model(torch.rand(2, 1, 3))
        assert twin.activity.uncounted == ["0: matmul"]
    assert meter.activity.uncounted == []


def test_a_part_that_fails_and_is_caught():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.neuron = nn.Linear(2, 3), LIF()

        def forward(self, x):
            try:
                x = self.linear(x)
            except RuntimeError:
                x = x @ torch.eye(3)
            return self.neuron(x)

    assert uncounted(Tries(), torch.rand(2, 1, 3)) == ["(model): matmul"]
