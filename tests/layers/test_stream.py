"""A stream gives what one call gives, and leaves nothing behind."""

from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.comparison.contender import neuron_names
from neurodyn.layers import (
    READOUTS,
    Delayed,
    GatedCell,
    LearnedDelays,
    Recurrent,
    Stream,
    make_readout,
)
from neurodyn.models import ConvNet, SequenceNet
from neurodyn.neurons import (
    LIF,
    LNM,
    AdLIF,
    MultiTimescale,
    SpikingLayer,
    Stateful,
    neurons_of,
)

CHUNKS = (1, 3, 5)


def chunked(stream, x):
    return [stream(chunk) for chunk in x.split(CHUNKS)]


def plain(model):
    """The model for evaluation, by the plain loop: no kernels to compile."""
    for _, neuron in neurons_of(model):
        neuron.backend = "reference"
    return model.eval()


def assert_streams(model, x):
    plain(model)
    with torch.no_grad():
        whole = model(x)
        assert whole.count_nonzero() > 0
        torch.testing.assert_close(torch.cat(chunked(Stream(model), x)), whole)


@pytest.mark.parametrize("name", sorted(neuron_names()))
def test_every_spiking_layer(name):
    cls = neuron_names()[name]
    layer = cls(6, 6) if issubclass(cls, GatedCell) else cls((6,))
    assert_streams(layer, 2 * torch.randn(9, 4, 6))


@pytest.mark.parametrize(
    "neuron",
    [
        partial(Delayed, neuron=AdLIF, order=4),
        partial(Delayed, neuron=Recurrent, order=4, learn_shift=True),
        partial(Recurrent, neuron=MultiTimescale),
        partial(Delayed, order=1),
        partial(Delayed, order=0),
    ],
)
def test_networks_of_composites(neuron):
    net = SequenceNet(neuron, shape=(6,), classes=3, widths=(8, 5), dropout=0.5)
    assert_streams(net, 5 * torch.randn(9, 4, 6))


def test_image_networks():
    net = ConvNet(partial(Delayed, neuron=LNM, order=3), shape=(2, 8, 8), widths=(4, 6))
    assert_streams(net, torch.randn(9, 2, 2, 8, 8))


def test_learned_delays():
    assert_streams(LearnedDelays(6, 3, order=5), torch.randn(9, 4, 6))


@pytest.mark.parametrize("name", READOUTS)
def test_scores_so_far(name):
    model = plain(nn.Sequential(SequenceNet(shape=(6,), classes=3), make_readout(name, 3)))
    x = torch.randn(9, 4, 6)
    with torch.no_grad():
        for end, scores in zip((1, 4, 9), chunked(Stream(model), x), strict=True):
            whole = model(x[:end])
            torch.testing.assert_close(scores, whole[-len(scores) :] if whole.ndim > 2 else whole)


def test_a_layer_that_is_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()

        def forward(self, x):
            return self.neuron(self.neuron(x) + x)

    assert_streams(Twice(), torch.randn(9, 4, 6))


def test_a_stateful_module_that_leaves_its_parts_to_the_stream():
    class Outer(Stateful):
        def __init__(self):
            super().__init__()
            self.first, self.second = LIF(), LIF()

        def forward(self, x, state=None, *, return_state=False):
            spikes, state = self.second(self.first(x), state, return_state=True)
            return (spikes, state) if return_state else spikes

    assert_streams(nn.Sequential(Outer(), LIF()), 2 * torch.randn(9, 4, 6))


def test_streams_are_independent_and_leave_nothing():
    net = plain(SequenceNet(shape=(6,), classes=3))
    x, y = torch.randn(2, 9, 4, 6)
    seen = []
    neuron = next(m for m in net.modules() if isinstance(m, SpikingLayer))
    handle = neuron.register_forward_hook(lambda module, args, output: seen.append(output))
    one, other = Stream(net), Stream(net)
    for a, b in zip(x.split(CHUNKS), y.split(CHUNKS), strict=True):
        last_x, last_y = one(a), other(b)
    torch.testing.assert_close(last_x, net(x)[4:])
    torch.testing.assert_close(last_y, net(y)[4:])
    assert all(isinstance(output, torch.Tensor) for output in seen)
    handle.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_reset_starts_a_new_sequence():
    net = plain(SequenceNet(shape=(6,), classes=3))
    x = torch.randn(9, 4, 6)
    stream = Stream(net)
    first = stream(x)
    assert not torch.equal(stream(x), first)
    stream.reset()
    assert torch.equal(stream(x), first)
    stream.reset()
    stream(x[:, :2])


def test_a_failed_call_leaves_the_stream_where_it_was():
    net = plain(SequenceNet(shape=(6,), classes=3))
    x = torch.randn(9, 4, 6)
    stream = Stream(net)
    stream(x[:4])
    with pytest.raises(ValueError, match="x: expected"):
        stream(torch.zeros(2, 4, 7))
    torch.testing.assert_close(stream(x[4:]), net(x)[4:])


def test_states_carry_no_gradient():
    stream = Stream(plain(LIF()))
    x, y = torch.randn(2, 2, 3, 4, requires_grad=True)
    stream(x)
    (grad,) = torch.autograd.grad(stream(y).sum(), x, allow_unused=True)
    assert grad is None


def test_what_cannot_stream():
    x = torch.zeros(2, 4, 6)
    net = SequenceNet(shape=(6,), classes=3)
    with pytest.raises(ValueError, match=r"expected model.eval\(\), as 'body.1.1' takes"):
        Stream(net)(x)
    stream = plain(net).stream()
    stream(x)
    with pytest.raises(ValueError, match=r"chunk: expected a batch of 4, .* got 3; reset"):
        stream(x[:, :3])
    with pytest.raises(ValueError, match=r"expected model.eval\(\)"):
        Stream(nn.BatchNorm1d(2, track_running_stats=False).eval())(x)
