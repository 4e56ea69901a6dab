"""Fan-out against loops over every product that a layer carries out."""

from itertools import product

import pytest
import torch
from torch import nn

from neurodyn.analysis.fanout import products
from neurodyn.layers import LearnedDelays


def along(n, out, kernel, stride, padding, dilation, mode):
    """Pairs of places on one axis that a weight joins; None: a padding zero."""
    for o, k in product(range(out), range(kernel)):
        i = o * stride - padding + k * dilation
        if mode == "circular":
            i %= n
        elif mode == "replicate":
            i = min(max(i, 0), n - 1)
        elif mode == "reflect":
            i = abs(i) if i < n else 2 * (n - 1) - i
        if 0 <= i < n:
            yield i


def backwards(n, out, kernel, stride, padding, dilation):
    """The same for a transposed convolution, which writes where the other one reads."""
    for i, k in product(range(n), range(kernel)):
        if 0 <= i * stride - padding + k * dilation < out:
            yield i


def by_loops(layer, x, out):
    """All products with a place of the map, and those with a spike."""
    axes = len(layer.kernel_size)
    macs = sops = 0
    joined = []
    for axis in range(axes):
        n, size = x.shape[axis - axes], out.shape[axis - axes]
        kernel, stride, dilation = (
            getattr(layer, name)[axis] for name in ("kernel_size", "stride", "dilation")
        )
        padding = dilation * (kernel - 1) // 2 if layer.padding == "same" else None
        padding = layer.padding[axis] if padding is None else padding
        if isinstance(layer, nn.modules.conv._ConvTransposeNd):
            joined.append(list(backwards(n, size, kernel, stride, padding, dilation)))
        else:
            mode = layer.padding_mode
            joined.append(list(along(n, size, kernel, stride, padding, dilation, mode)))
    outputs = layer.out_channels // layer.groups
    whole = bool((x == x.round()).all())
    for places in product(*joined):
        values = x[(..., *places)]
        macs += outputs * values.numel()
        sops += outputs * (values.abs().sum() if whole else (values != 0).sum()).item()
    return macs, sops


LAYERS = {
    "3x3": nn.Conv2d(3, 8, 3, padding=1),
    "stride": nn.Conv2d(3, 8, 3, stride=2, padding=1),
    "uneven": nn.Conv2d(3, 8, (3, 2), stride=(1, 3), padding=(2, 0), dilation=(2, 1)),
    "groups": nn.Conv2d(4, 6, 3, groups=2, padding=1),
    "depthwise": nn.Conv2d(3, 6, 3, groups=3, padding=1),
    "dilated": nn.Conv2d(3, 8, 3, padding=2, dilation=2),
    "skips": nn.Conv2d(3, 8, 1, stride=2),
    "same": nn.Conv2d(3, 8, 4, padding="same", dilation=2),
    "circular": nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"),
    "reflect": nn.Conv2d(3, 8, 3, padding=2, stride=2, padding_mode="reflect"),
    "replicate": nn.Conv2d(3, 8, 3, padding=1, padding_mode="replicate"),
    "1d": nn.Conv1d(3, 5, 3, stride=2, padding=2),
    "3d": nn.Conv3d(2, 4, 3, stride=2, padding=1),
    "transposed": nn.ConvTranspose2d(3, 8, 3, stride=2, padding=1, output_padding=1),
    "transposed 1d": nn.ConvTranspose1d(4, 6, 4, stride=3, padding=2, groups=2, dilation=2),
    "transposed 3d": nn.ConvTranspose3d(2, 4, 3, stride=2, padding=1),
}


@pytest.mark.parametrize("kind", ["spikes", "counts", "pooled"])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_convolutions(layer, kind):
    sizes = {1: (9,), 2: (7, 6), 3: (5, 4, 3)}[len(layer.kernel_size)]
    x = (torch.rand(2, layer.in_channels, *sizes) < 0.4).float()
    if kind == "counts":
        x = x * torch.randint(-2, 4, x.shape)
    elif kind == "pooled":
        x = x / 4
    with torch.inference_mode():
        out = layer(x)
        assert products(layer, x, out) == (*by_loops(layer, x, out), kind != "pooled")


def test_a_transposed_convolution_of_a_given_size():
    layer = nn.ConvTranspose2d(1, 1, 3, stride=3)
    x = torch.ones(1, 1, 4, 4)
    out = layer(x, output_size=(14, 14))
    assert products(layer, x, out)[:2] == by_loops(layer, x, out)


def test_a_map_of_eight_by_eight():
    layer = nn.Conv2d(4, 8, 3, padding=1)
    everything, corner = torch.ones(1, 4, 8, 8), torch.zeros(1, 4, 8, 8)
    corner[0, 1, 0, 7] = 1
    assert products(layer, everything, layer(everything)) == (15_488, 15_488, True)
    assert products(layer, corner, layer(corner)) == (15_488, 32, True)
    without_batch = everything[0]
    assert products(layer, without_batch, layer(without_batch))[1] == 15_488


@pytest.mark.parametrize(("value", "each"), [(1, 1), (-2, 2), (0.5, 1)])
def test_linear(value, each):
    layer = nn.Linear(5, 7)
    x = torch.zeros(3, 2, 5)
    x[1, :, 2] = value
    assert products(layer, x, layer(x)) == (3 * 2 * 5 * 7, 2 * 7 * each, value != 0.5)


def test_learned_delays():
    """Every spike reaches every output once, in a sequence long enough for its delays."""
    layer = LearnedDelays(3, 4, 5).eval()
    x = (torch.rand(12, 2, 3) < 0.4).float()
    x[-4:] = 0
    kernel = layer.kernel() != 0
    arrived = 0
    for t, lag, o, i in product(range(12), range(5), range(4), range(3)):
        if t >= lag and kernel[o, i, lag]:
            arrived += x[t - lag, :, i].sum().item()
    assert products(layer, x, layer(x)) == (x.numel() * 4, arrived, True)


def test_sums_are_exact():
    layer = nn.Linear(1, 1)
    x = torch.full((2**12 + 1, 2**13), 1.0).reshape(-1, 1)
    assert products(layer, x, x)[:2] == (2**25 + 2**13,) * 2
