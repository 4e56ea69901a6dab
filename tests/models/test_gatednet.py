import pytest
import torch

from neurodyn.layers import CSGRU, LeakyMax, RecurrentCubaLIF, SpikGRU, SpikGRU2
from neurodyn.models import GatedNet


@pytest.mark.parametrize("cell", [RecurrentCubaLIF, SpikGRU, SpikGRU2, CSGRU])
@pytest.mark.parametrize("kernel", [None, 3])
def test_shapes_and_gradients(cell, kernel):
    net = GatedNet(cell, shape=(2, 6, 6), classes=5, hidden=4, layers=2, kernel=kernel)
    out = net(torch.rand(3, 2, 2, 6, 6))
    assert out.shape == (3, 2, 5)
    LeakyMax(5)(out).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_by_hand():
    net = GatedNet(shape=(2, 6, 6), hidden=4)
    x = torch.rand(3, 1, 2, 6, 6)
    spikes = net.body[0](x)
    expected = spikes.mean((-2, -1)) @ net.head[0].weight.T + net.head[0].bias
    torch.testing.assert_close(net(x), expected)


def test_pooling_sums():
    net = GatedNet(shape=(2, 7, 6), hidden=4, pool=2)
    x = torch.randint(0, 3, (3, 1, 2, 7, 6)).float()
    summed = x[..., :6, :].unflatten(-1, (3, 2)).unflatten(-3, (3, 2)).sum((-1, -3))
    torch.testing.assert_close(net.body[0](x), summed)


def test_a_row_of_channels_as_maps():
    row = GatedNet(shape=(700,), hidden=4, maps=(7, 10, 10), pool=2)
    image = GatedNet(shape=(7, 10, 10), hidden=4, pool=2)
    image.load_state_dict({k.replace("body.3", "body.1"): v for k, v in row.state_dict().items()})
    x = (torch.rand(4, 2, 700) < 0.2).float()
    torch.testing.assert_close(row(x), image(x.unflatten(2, (7, 10, 10))))


def test_dense_layers_see_the_step_flattened():
    net = GatedNet(SpikGRU, shape=(2, 6, 6), hidden=4, kernel=None, pool=3)
    assert net.body[2].channels == 2 * 2 * 2


def test_streaming():
    net = GatedNet(shape=(2, 6, 6), hidden=4, layers=2).eval()
    x = torch.rand(5, 1, 2, 6, 6)
    stream = net.stream()
    torch.testing.assert_close(torch.cat([stream(x[:2]), stream(x[2:])]), net(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (700,)}, r"shape: expected \(C, H, W\).*maps="),
        ({"shape": (700,), "maps": (7, 10, 9)}, "maps: expected as many values"),
        ({"layers": 0}, "layers: expected at least 1"),
        ({"pool": 8, "shape": (2, 6, 6)}, "pool: expected"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        GatedNet(**{"hidden": 4, **options})
