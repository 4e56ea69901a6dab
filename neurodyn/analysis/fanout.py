"""Fan-out: the number of weights that each place of a layer's input goes through.

At the border of a map, and between the steps of a stride, a place meets fewer weights than in the
middle. Products with padding zeros belong to no place, so they are not counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.layers import LearnedDelays

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
SYNAPSES = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, LearnedDelays)


def products(layer: nn.Module, x: Tensor, out: Tensor) -> tuple[float, float, bool]:
    """The products of a layer with one input: of all its values, and of its spikes.

    Args:
        layer: one of `SYNAPSES`.
        x: its input.
        out: its output.

    Returns:
        The multiplications of the dense layer; the synaptic operations; whether the input holds
        counts of spikes (whole numbers). A count of n takes part n times, and any other number
        except zero once.
    """
    counts = bool((x == x.round()).all())
    spikes = x.abs() if counts else x != 0
    reached = fan_out(layer, x, out).to(x.device)
    at_each_place = spikes.sum(tuple(range(x.ndim - reached.ndim)), dtype=reached.dtype)
    macs = x.numel() // max(reached.numel(), 1) * reached.sum().item()
    return macs, (at_each_place * reached).sum().item(), counts


def fan_out(layer: nn.Module, x: Tensor, out: Tensor) -> Tensor:
    """The fan-out of each place of a map, or one number for a dense layer."""
    if isinstance(layer, CONVOLUTIONS + TRANSPOSED):
        dimensions = len(layer.kernel_size)
        places = _weights_by_place(
            isinstance(layer, TRANSPOSED),
            tuple(x.shape[-dimensions:]),
            tuple(out.shape[-dimensions:]),
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.padding_mode,
        )
        return layer.out_channels // layer.groups * places
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return torch.tensor(len(weight), dtype=torch.float64)


@lru_cache(maxsize=64)
def _weights_by_place(
    transposed: bool,
    size: tuple[int, ...],
    out_size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...],
    mode: str,
) -> Tensor:
    """Fan-out from one channel to one other: the gradient of the output's sum where all weights are
    one, which is a transposed convolution of ones."""
    kind: Any = (TRANSPOSED if transposed else CONVOLUTIONS)[len(size) - 1]
    plain: dict[str, Any] = {"device": "cpu", "dtype": torch.float64}
    with torch.inference_mode(False), torch.enable_grad():
        options = {"dilation": dilation, "padding_mode": mode, "bias": False, **plain}
        alone = kind(1, 1, kernel, stride, padding, **options)
        nn.init.ones_(alone.weight)
        x = torch.ones(1, 1, *size, **plain, requires_grad=True)
        out = alone(x, list(out_size)) if transposed else alone(x)
        (places,) = torch.autograd.grad(out.sum(), x)
    return places[0, 0].round()
