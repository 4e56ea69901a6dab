"""Both conversions and their comparison: `single`, `multi` and `compare`."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
import torch
from torch import nn

from neurodyn.convert import Events, compare, multi_spike, single_spike
from neurodyn.convert.spikes import merged
from neurodyn.convert.spikes.theory import square_free
from tests.convert.nets import KERNELS, network, spikes, wired


def once_of(net):
    """The same network of neurons that fire once."""
    return Events(
        list(net.weights), list(net.thresholds), list(net.kernels), reset=net.reset, once=True
    )


def most_spikes(trains):
    """Of any neuron."""
    return max(times.shape[-1] for times in trains.layers)


def explicit(net):
    """A converted network as one that knows nothing of copies: weights written out."""
    copies = net.copies
    weights = [
        w.detach()[np.ix_(into.origin, source.origin)] * torch.from_numpy(source.sign)
        for w, source, into in zip(net.weights, copies, copies[1:], strict=False)
    ]
    thresholds = [
        theta.detach()[into.origin] * torch.from_numpy(into.level)
        for theta, into in zip(net.thresholds, copies[1:], strict=True)
    ]
    return Events(weights, thresholds, list(net.kernels), once=net.once)


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_many_spikes_to_one_is_exact(kind, seed):
    net, until = network(kind, seed)
    inputs = spikes(6, seed, span=0.6 * until)
    bound = net.bound(inputs, until)
    single = single_spike(net, bound)
    report = compare(net, single, inputs, until)
    assert report.error == 0.0
    assert (report.counts, report.first, report.argmax) == (1, 1, 1)
    # A copy for every spike: none is missing, and none is idle.
    assert single.neurons == sum(most.sum() for most in bound[1:]) == report.spikes[0]
    assert most_spikes(single(inputs, until)) == 1


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_one_spike_to_many_is_exact(kind, seed):
    net, until = network(kind, seed)
    once, inputs = once_of(net), spikes(6, seed, span=0.6 * until)
    bound = once.bound(inputs, until)
    multi = multi_spike(once, bound)
    assert compare(once, multi, inputs, until).error == 0.0
    assert multi.neurons == sum(len(square_free(most)) for layer in bound[1:] for most in layer)
    assert multi.neurons <= sum(most.sum() for most in bound[1:])
    assert most_spikes(multi(inputs, until)) > 1


def test_with_delays_and_recurrence():
    net, inputs = wired(), spikes(6, 0)
    single = single_spike(net, net.bound(inputs, 60.0))
    assert compare(net, single, inputs, 60.0).error == 0.0
    assert single.neurons > 2 * net.neurons


def test_a_uniform_bound_takes_as_many_neurons_as_the_theorem():
    net, _ = network("LIF")
    for most in (1, 7, 10, 100):
        assert single_spike(net, most).neurons == most * net.neurons
        assert multi_spike(once_of(net), most).neurons == len(square_free(most)) * net.neurons
    single = single_spike(net, 10)
    assert single.synapses == 100 * net.synapses


@pytest.mark.parametrize("back", [True, False])
def test_the_round_trip_is_the_identity(back):
    net, until = network("nLIF", 2)
    inputs = spikes(6, 2)
    if back:
        bound = net.bound(inputs, until)
        twin = multi_spike(single_spike(net, bound), bound)
    else:
        net = once_of(net)
        bound = net.bound(inputs, until)
        twin = single_spike(multi_spike(net, bound), bound)
    assert compare(net, twin, inputs, until).error == 0.0
    for most, copies in zip(bound[1:], twin.copies[1:], strict=True):
        assert np.array_equal(copies.origin, np.nonzero(most)[0])
        assert set(copies.level) | set(copies.sign) <= {1}


@pytest.mark.parametrize("way", ["single", "multi"])
def test_it_is_the_network_with_all_its_weights_written_out(way):
    net, until = network("LIF", 0)
    inputs = spikes(6, 0)
    if way == "single":
        twin = single_spike(net, net.bound(inputs, until))
        given = inputs.reshape(-1, 1)  # The lines, split.
    else:
        net = once_of(net)
        twin, given = multi_spike(net, net.bound(inputs, until)), inputs
    trains, plain = twin(inputs, until), explicit(twin)(given, until)
    for layer in range(3):
        assert torch.equal(torch.isfinite(trains[layer]), torch.isfinite(plain[layer]))
        # Cancelling pairs leave rounding where nothing knows that they are pairs.
        torch.testing.assert_close(trains[layer], plain[layer], rtol=0, atol=1e-8)
    if way == "single":
        assert all(torch.equal(trains[layer], plain[layer]) for layer in range(3))


def test_a_leaking_reset_needs_the_lateral_edges():
    net, until = network("LIF", 1, reset="leaky")
    inputs = spikes(6, 1)
    bound = net.bound(inputs, until)
    with_edges = single_spike(net, bound)
    report = compare(net, with_edges, inputs, until)
    assert report.error == 0.0
    assert report.spikes[0] == report.spikes[1] > 40
    control = compare(net, single_spike(net, 1000, lateral=False), inputs, until)
    assert control.error == float("inf")
    assert control.counts < 1
    pairs = sum(int(most) * (int(most) - 1) // 2 for layer in bound[1:] for most in layer)
    assert with_edges.synapses - single_spike(net, bound, lateral=False).synapses == pairs


def test_a_leaking_reset_is_silenced_by_a_synapse_on_itself():
    net, until = network("LIF", 1, reset="leaky")
    once, inputs = once_of(net), spikes(6, 1)
    multi = multi_spike(once, once.bound(inputs, until), until=until)
    assert not multi.once
    assert compare(once, multi, inputs, until).error == 0.0
    assert multi.neurons == net.neurons
    with pytest.raises(ValueError, match="until: with a leaking reset, expected the last time"):
        multi_spike(once, 4)
    with pytest.raises(ValueError, match="net: copies with lateral edges cannot be turned back"):
        multi_spike(single_spike(net, 4), 4, until=until)


@pytest.mark.parametrize("way", ["single", "multi"])
def test_a_bound_that_is_too_small_names_the_neuron_and_what_it_needs(way):
    net, until = network("LIF", 0)
    inputs = spikes(6, 0)
    net = net if way == "single" else once_of(net)
    bound = [each.copy() for each in net.bound(inputs, until)]
    layer, neuron = 1, int(bound[1].argmax())
    needed = int(bound[layer][neuron])
    bound[layer][neuron] -= 2
    twin = single_spike(net, bound) if way == "single" else multi_spike(net, bound)
    message = rf"bound: sample 0: layer 1, neuron {neuron} needs {needed}, .* made for {needed - 2}"
    with pytest.raises(ValueError, match=message):
        compare(net, twin, inputs, until)


def test_a_line_with_more_spikes_than_it_was_split_into():
    net, until = network("LIF")
    twin = single_spike(net, net.bound(spikes(6, 0, each=3), until))
    with pytest.raises(ValueError, match="inputs: line 0 has 5 spikes, the network was made for 3"):
        twin(spikes(6, 0, each=5), until)


def test_what_is_outside_the_theorem_is_refused():
    net, until = network("LIF")
    with pytest.raises(TypeError, match="net: expected a network of Events, got Sequential"):
        single_spike(nn.Sequential(), 4)
    with pytest.raises(ValueError, match="net: expected neurons that fire many times"):
        single_spike(once_of(net), 4)
    with pytest.raises(ValueError, match="net: expected neurons that fire once"):
        multi_spike(net, 4)
    with pytest.raises(ValueError, match="bound: expected whole numbers, 0 or more, got -1"):
        single_spike(net, -1)
    with pytest.raises(ValueError, match=r"bound: expected a number, or one number for each of"):
        single_spike(net, net.bound(spikes(6, 0), until)[1:])
    lateral = single_spike(*(lambda n: (n, 3))(network("LIF", 0, reset="leaky")[0]))
    with pytest.raises(ValueError, match="bound: with a leaking reset"):
        lateral.bound(spikes(6, 0), until)


def test_parameters_are_shared_and_gradients_agree():
    net, until = network("LIF")
    inputs = spikes(6, 0)
    twin = single_spike(net, net.bound(inputs, until))
    assert all(a is b for a, b in zip(net.parameters(), twin.parameters(), strict=True))
    grads = []
    for each in (net, twin):
        trains = each(inputs, until)[2]
        loss = trains[torch.isfinite(trains)].sum()
        grads.append(torch.autograd.grad(loss, list(each.parameters())))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_merged_trains_are_those_of_the_origins():
    net, until = network("LIF")
    batch = torch.stack([spikes(6, k) for k in range(3)])
    bound = net.bound(batch, until)
    twin = single_spike(net, bound)
    for mine, theirs in zip(
        merged(twin, twin(batch, until)), net(batch, until).layers, strict=True
    ):
        assert torch.equal(mine, theirs.detach())


def test_a_comparison_in_words():
    net, until = network("LIF")
    inputs = spikes(6, 0)
    text = str(compare(net, single_spike(net, net.bound(inputs, until)), inputs, until))
    assert "largest difference of a spike time: 0" in text
    assert "counts 100.0%" in text
    other, _ = network("LIF", sizes=(6, 5))
    with pytest.raises(ValueError, match="other: expected a network of"):
        compare(net, other, inputs)


def test_networks_that_differ_are_seen():
    net, until = network("LIF", 0)
    other, _ = network("LIF", 3)
    report = compare(net, other, spikes(6, 0), until)
    assert report.error > 0
    assert report.counts < 1


@pytest.mark.parametrize("bound", [2.5, None, torch.tensor(3)])
def test_a_bound_of_another_type(bound):
    net, _ = network("LIF")
    with pytest.raises(TypeError, match=r"bound: expected a whole number, or net.bound\(inputs\)"):
        single_spike(net, bound)


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan")])
def test_a_bound_that_is_no_number_of_spikes(wrong):
    net, _ = network("LIF", sizes=(1, 2))
    assert len(single_spike(net, [[1], [np.int64(0), 3.0]]).copies[1]) == 3
    with pytest.raises(ValueError, match=f"bound: expected whole numbers, 0 or more, got {wrong}"):
        single_spike(net, [[1], [wrong, 2]])


def test_the_number_that_a_neuron_needs_is_that_of_the_whole_network():
    # Cut everywhere, the spikes that are missing would change what later layers seem to need.
    named = set()
    for seed, cut in itertools.product(range(8), (1, 3)):
        net, until = network("LIF", seed)
        inputs = spikes(6, seed)
        bound = net.bound(inputs, until)
        twin = single_spike(net, [bound[0], *(np.minimum(most, cut) for most in bound[1:])])
        with pytest.raises(ValueError, match="needs") as error:
            twin(inputs, until)
        layer, neuron, needed = map(
            int, re.search(r"layer (\d+), neuron (\d+) needs (\d+)", str(error.value)).groups()
        )
        assert needed == bound[layer][neuron] > cut
        named.add(layer)
    assert max(named) > 1


def test_a_leaking_reset_with_one_copy_each_sees_a_second_spike():
    net = Events([torch.tensor([[9.0]])], reset="leaky")
    inputs = [[0.0]]
    needed = int(net.bound(inputs)[1][0])
    assert net.converted(net.copies, None, once=True).bound(inputs)[1][0] < needed  # h alone
    with pytest.raises(ValueError, match=f"neuron 0 needs {needed}, the network was made for 1"):
        single_spike(net, 1)(inputs)


def test_neurons_that_silence_themselves_are_not_turned_back():
    once = once_of(network("LIF", 1, reset="leaky")[0])
    with pytest.raises(ValueError, match="net: neurons that silence themselves cannot be turned"):
        single_spike(multi_spike(once, 4, until=60.0), 4)


@pytest.mark.parametrize("until", [1e5, -1.0, float("nan")])
def test_inhibition_that_is_no_number(until):
    net = once_of(network("LIF", 1, reset="leaky")[0])
    with pytest.raises(ValueError, match="until: expected a time from 0 to 6000"):
        multi_spike(net, 4, until=until)


def test_a_hook_on_one_network_is_not_on_the_other():
    net, until = network("LIF")
    twin, called = single_spike(net, net.bound(spikes(6, 0), until)), []
    twin.register_forward_hook(lambda *_: called.append(1))
    twin.extra = nn.Parameter(torch.ones(1))
    net(spikes(6, 0), until)
    assert not called
    assert not hasattr(net, "extra")
    twin(spikes(6, 0), until)
    assert called


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_converted_network_is_copied_and_kept(again):
    net, until = network("LIF")
    inputs = spikes(6, 0)
    twin = again(single_spike(net, net.bound(inputs, until)))
    assert compare(net, twin, inputs, until).error == 0.0
    assert list(twin.state_dict()) == list(net.state_dict())


def test_no_samples():
    net, until = network("LIF")
    none = torch.empty(0, 6, 2)
    assert sum(most.sum() for most in net.bound(none, until)) == 0
    assert net(none, until)[2].shape == (0, 3, 0)
    with pytest.raises(ValueError, match="inputs: expected at least one sample, got none"):
        compare(net, single_spike(net, 2), none, until)
