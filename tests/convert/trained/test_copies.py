"""Single-spike copies of neurons: against the neurons, and against copies written out."""

import copy

import pytest
import torch
from torch import nn

from neurodyn.analysis import ActivityMeter
from neurodyn.convert import unfold
from neurodyn.convert.trained.copies import CopyLayer
from neurodyn.layers import Delayed, Recurrent, Stream
from neurodyn.neurons import IF, LIF, DecayLIF
from tests.convert.trained.networks import SOFT, dense, written_out, written_recurrently


def graded(neuron):
    neuron.emission, neuron.backend = "graded", "reference"
    return neuron


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", SOFT)
def test_the_sum_of_the_copies_is_the_graded_neuron_bit_for_bit(name, dtype):
    neuron = SOFT[name]((5, 3)).to(dtype)
    x = (1 + 2 * torch.randn(40, 6, 5, 3)).to(dtype)
    copies = CopyLayer(neuron, 200)
    spikes = graded(neuron)(x)
    assert spikes.max() > 1
    assert torch.equal(copies(x), spikes)
    neuron.backend = "cpu"
    torch.testing.assert_close(copies(x), neuron(x))


def test_each_copy_fires_once_and_in_their_order():
    neuron, x = SOFT["LIF"]((5,)), 1 + 2 * torch.randn(40, 6, 5)
    copies = CopyLayer(neuron, torch.tensor([90, 80, 120, 100, 99]))
    times, source = copies.times(x), copies.sources(x)
    assert source.bincount().tolist() == [90, 80, 120, 100, 99]
    spikes = graded(neuron)(x)
    for i in range(5):
        fires = times[:, source == i]
        never = fires < 0
        assert torch.equal((~never).sum(1), spikes[:, :, i].sum(0).long())
        late = torch.where(never, 1000, fires)
        assert (late.diff(dim=1) >= 0).all()
        assert torch.equal(fires[:, 0], (spikes[:, :, i] > 0).int().argmax(0))


@pytest.mark.parametrize("name", SOFT)
def test_copies_written_out_with_their_weights(name):
    """Explicit copies in float64, with thresholds `k V`, replicated weights and lateral kernels."""
    N, net = 60, dense(SOFT[name]).double().eval()
    x = torch.randn(25, 3, 7, dtype=torch.float64)
    twin = unfold(net, bound=N)
    inputs = {}
    for place, layer in twin.copies.items():
        layer.register_forward_pre_hook(
            lambda _, given, place=place: inputs.update({place: given[0]})
        )
    out = twin(x)
    fired = 0
    for i in range(3):
        expected, outputs = written_out(net, x[:, i], N)
        for (place, layer), times in zip(twin.copies.items(), expected, strict=True):
            assert torch.equal(layer.times(inputs[place])[i], times)
            fired += int((times >= 0).sum())
        torch.testing.assert_close(out[:, i], outputs)
    assert fired > 200


@pytest.mark.parametrize("name", SOFT)
def test_without_edges_a_leak_makes_copies_fire_too_rarely(name):
    """The negative control: a soft reset leaks with the membrane. Without leak there are none."""
    net = dense(SOFT[name]).double()
    x = torch.randn(25, 7, dtype=torch.float64)
    expected, _ = written_out(net, x, 60)
    found, _ = written_out(net, x, 60, edges=False)
    same = all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert same == (name == "IF")


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7])
def test_membranes_exactly_at_a_level(threshold):
    x = torch.tensor([3.0, 0.0, 7.0, 1.0])[:, None, None] * threshold
    neuron = IF(reset="soft", threshold=threshold)
    assert CopyLayer(neuron, 20)(x).flatten().tolist() == graded(neuron)(x).flatten().tolist()


def test_a_state_is_handed_on():
    net = nn.Sequential(nn.Linear(4, 6), LIF((6,), reset="soft"), DecayLIF((6,), threshold=0.3))
    twin, x = unfold(net, bound=80), 5 * torch.randn(30, 2, 4)
    stream = Stream(twin)
    assert torch.equal(torch.cat([stream(x[:11]), stream(x[11:])]), twin(x))
    assert twin(x).any()


def test_delays_go_along():
    net = nn.Sequential(Delayed(5, neuron=SOFT["LIF"], order=4)).eval()
    x = 2 * torch.randn(30, 3, 5)
    twin = unfold(net, bound=100)
    graded(net[0].neuron)
    assert net(x).max() > 1
    assert torch.equal(twin(x), net(x))


def recurrent(name, features=12):
    """With weights that count."""
    layer = Recurrent(features, neuron=SOFT[name], gain=0.5)
    return nn.Sequential(nn.Linear(5, features), layer, nn.Linear(features, 3))


@pytest.mark.parametrize("name", SOFT)
def test_recurrent_weights_lead_from_all_copies_to_all_copies(name):
    """Again against copies written out, now with the weights between them."""
    N, net = 60, recurrent(name).double()
    x = 6 * torch.randn(20, 2, 5, dtype=torch.float64)
    (copies,) = (twin := unfold(net, bound=N)).copies.values()
    expected = written_recurrently(net, x[:, 0], N)
    current = net[0](x)
    assert torch.equal(copies.times(current)[0], expected)
    assert (expected >= 0).sum() > 30
    graded(net[1].neuron)
    assert torch.equal(twin(x), net(x))
    stream = Stream(twin)
    assert torch.equal(torch.cat([stream(x[:7]), stream(x[7:])]), twin(x))
    unconnected = copy.deepcopy(net)
    unconnected[1].V.data.zero_()
    assert not torch.equal(unconnected(x), net(x))


def test_too_few_copies_say_who_needs_how_many():
    x = torch.zeros(4, 2, 3, 2)
    x[1, 1, 2, 0] = 5.5
    copies = CopyLayer(IF((3, 2), reset="soft"), 5, "body.1")
    assert copies(x).sum() == 5
    short = CopyLayer(IF((3, 2), reset="soft"), 3, "body.1")
    with pytest.raises(ValueError, match=r"\(2, 0\) of 'body.1' has the bound 3 and fires 5 times"):
        short(x)
    with pytest.raises(ValueError, match="has the bound 4 and fires 5 times"):
        CopyLayer(IF((3, 2), reset="soft"), 4)(x)
    none = CopyLayer(IF((3, 2), reset="soft"), 0)
    assert not none(0 * x).any()
    with pytest.raises(ValueError, match="has the bound 0 and fires 5 times"):
        none(x)


def test_mistakes():
    copies = CopyLayer(IF(reset="soft"), torch.ones(3, dtype=torch.int64), "a")
    with pytest.raises(ValueError, match=r"expected \(T, B, 3\) at 'a', .* got \(4, 2, 5\)"):
        copies(torch.zeros(4, 2, 5))
    with pytest.raises(ValueError, match="got NaN at 'a'"):
        copies(torch.full((4, 2, 3), float("nan")))


def test_a_meter_does_not_count_a_twin_as_if_it_were_the_neurons():
    twin = unfold(nn.Sequential(nn.Linear(3, 4), SOFT["LIF"]((4,))))
    with pytest.raises(ValueError, match="compare_unfolded counts"), ActivityMeter(twin):
        twin(torch.rand(4, 2, 3))
