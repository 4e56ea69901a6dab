import pytest
import torch
from torch import nn

from neurodyn.layers import PointwiseConv2d, TimeDistributed
from neurodyn.layers.pointwise import _warned
from neurodyn.models import ResNet19
from neurodyn.neurons import LIF


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_equals_the_convolution(stride, size):
    x = torch.randn(3, 5, *size, dtype=torch.float64, requires_grad=True)
    plain = nn.Conv2d(5, 6, 1, stride).double()
    ours = PointwiseConv2d(5, 6, stride).double()
    ours.load_state_dict(plain.state_dict())
    a, b = plain(x), ours(x)
    torch.testing.assert_close(b, a)
    weight = torch.randn_like(a)
    for one, other in zip(
        torch.autograd.grad((a * weight).sum(), (x, *plain.parameters())),
        torch.autograd.grad((b * weight).sum(), (x, *ours.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(other, one)


def test_our_networks_have_no_other():
    parts = list(ResNet19(LIF, shape=(3, 16, 16), width=0.1).modules())
    strided = [m for m in parts if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert strided
    assert all(isinstance(m, PointwiseConv2d) for m in strided)


def test_others_are_warned_of():
    _warned.clear()
    with pytest.warns(RuntimeWarning, match="PointwiseConv2d computes the same safely"):
        TimeDistributed(nn.Sequential(nn.Conv2d(8, 8, 1, stride=2)))
