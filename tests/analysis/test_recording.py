import pytest
import torch
from torch import nn

from neurodyn.analysis.recording import record
from neurodyn.layers import CSGRU, Delayed, Recurrent, SpikGRU, Stream
from neurodyn.layers.normed import SMALLEST
from neurodyn.models import ConvNet
from neurodyn.neurons import LIF, AdLIF


@pytest.mark.parametrize(
    ("layer", "states"),
    [
        (LIF(), ("h", "u")),
        (AdLIF(6), ("h", "u", "w", "s")),
        (Delayed(6, neuron=LIF, order=3), ("h", "u")),
        (Recurrent(6, neuron=AdLIF), ("u", "w", "s")),
        (Delayed(6, neuron=Recurrent, order=3), ("u",)),
        (SpikGRU(6, 6), ("i", "v")),
        (CSGRU(6, 6), ("i", "v")),
    ],
)
def test_spikes_and_states_of_every_layer(layer, states, rng):
    network = nn.Sequential(layer)
    x = 2 * torch.randn(7, 3, 6, generator=rng)
    (recorded,) = record(network, x).values()
    assert tuple(recorded) == ("spikes", *states)
    assert all(course.shape == (7, 3, 6) for course in recorded.values())
    assert recorded["spikes"].any()
    with torch.no_grad():
        torch.testing.assert_close(recorded["spikes"], network(x))
    assert not any(module._forward_hooks for module in network.modules())


def test_the_state_that_a_call_continues_from_counts(rng):
    class Continued(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()

        def forward(self, x):
            first, state = self.neuron(x[:4], return_state=True)
            return torch.cat([first, self.neuron(x[4:], state)])

    x = torch.randn(9, 2, 5, generator=rng)
    recorded, whole = record(Continued(), x), LIF().record(x)
    assert [*recorded] == ["neuron", "neuron#2"]
    for name, course in whole.items():
        both = torch.cat([recorded["neuron"][name], recorded["neuron#2"][name]])
        torch.testing.assert_close(both, course)


def test_a_norm_in_the_kernel_is_part_of_the_input(rng):
    network = ConvNet(LIF, shape=(1, 32, 32), widths=(32,)).eval()
    x = torch.randn(4, 8, 1, 32, 32, generator=rng)
    assert SMALLEST <= 4 * 8 * 32**3
    recorded = record(network, x)["body.1.neuron"]
    seen = []
    network.body[1].register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.no_grad():
        network(x)
    assert (recorded["spikes"] != seen[0]).float().mean() < 1e-4


@pytest.mark.parametrize("layer", [Delayed(6, neuron=LIF, order=3), Recurrent(6), CSGRU(6, 6)])
def test_a_stream_is_recorded_as_it_runs(layer, rng):
    network = nn.Sequential(layer)
    x = 2 * torch.randn(9, 3, 6, generator=rng)
    (whole,), stream = record(network, x).values(), Stream(network)
    chunks = [record(network, chunk, run=stream) for chunk in (x[:4], x[4:])]
    for name, course in whole.items():
        parts = [next(iter(chunk.values()))[name] for chunk in chunks]
        torch.testing.assert_close(torch.cat(parts), course)
