import pytest
import torch

from neurodyn.analysis.departure import MembraneLog, put_back
from neurodyn.models import ConvNet, SequenceNet
from neurodyn.neurons import LIF, LNM, AdLIF


def sequence_net(**options):
    torch.manual_seed(0)
    return SequenceNet(lambda f: LNM(f, **options), shape=(3,), classes=2, widths=(4, 5)).eval()


def departures(network, x):
    with MembraneLog(network) as log, torch.no_grad():
        network(x)
    return log.departures()


@pytest.mark.parametrize("per", ["layer", "channel", "neuron"])
def test_lif_has_not_left(per):
    network = ConvNet(lambda f: LIF(f, per=per, tau=4.0), widths=(3, 4)).eval()
    for layer in departures(network, 3 * torch.randn(5, 2, 1, 8, 8)).values():
        torch.testing.assert_close(layer.a, torch.full_like(layer.a, 0.75))
        assert layer.distance.max() < 1e-6
        assert layer.b.abs().max() < 1e-6
        torch.testing.assert_close(layer.common[0], torch.tensor(0.75))


def test_a_departure_by_hand():
    network = sequence_net(per="neuron", clip="none")
    neuron = network.body[2]
    with torch.no_grad():
        neuron.c[3][1] = 0.02
    seen = []
    neuron.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    found = departures(network, 2 * torch.randn(30, 6, 3))["body.2"]
    life = neuron.record(seen[0])
    u = torch.cat([torch.zeros(1, 6, 4), life["u"][:-1]])[..., 1].flatten()
    mapped = u + 0.5 * (-u + 0.02 * u**3)
    line = torch.stack([u, torch.ones_like(u)], 1)
    a, b = torch.linalg.lstsq(line, mapped[:, None]).solution.flatten()
    assert 0 < a < 1, a
    torch.testing.assert_close(found.a[1], a, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.b[1], b, rtol=1e-4, atol=1e-4)
    distance = (mapped - a * u - b).abs().mean()
    torch.testing.assert_close(found.distance[1], distance, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.rate, life["spikes"].mean((0, 1)))
    torch.testing.assert_close(found.spread[1], u.std(correction=0), rtol=1e-4, atol=1e-4)
    assert found.distance[[0, 2, 3]].max() < 1e-6


def test_putting_lif_back_takes_what_was_learned():
    network, plain = (
        sequence_net(per="neuron", clip="none"),
        sequence_net(per="neuron", clip="none"),
    )
    x = 10 * torch.randn(20, 3, 3)
    with torch.no_grad():
        network.body[2].c[2][:2] = 0.1
    learned, lif = network(x), plain(x)
    assert not torch.equal(learned, lif)
    lines = {"body.2": (torch.tensor(0.5), torch.tensor(0.0))}
    changed = torch.tensor([True, True, False, False])
    for where, expected in ((changed, lif), (~changed, learned)):
        with put_back(network, lines, {"body.2": where}), torch.no_grad():
            torch.testing.assert_close(network(x), expected)
    assert torch.equal(network(x), learned)
    assert type(network.body[2]) is LNM


def test_two_states_are_refused():
    with pytest.raises(ValueError, match=r"network: body\.1\.neuron has states .*, expected one"):
        MembraneLog(ConvNet(AdLIF))
