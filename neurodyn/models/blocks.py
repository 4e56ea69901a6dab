"""Building blocks of the networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neurodyn.errors import not_over_time
from neurodyn.layers import (
    Normed,
    PointwiseConv2d,
    Stream,
    TDBatchNorm1d,
    TDBatchNorm2d,
    TimeDistributed,
)
from neurodyn.neurons import NeuronFactory, SpikingLayer

Shape = tuple[int, int, int]


def conv_norm(
    inputs: int,
    outputs: int,
    neuron: SpikingLayer,
    *,
    kernel: int = 3,
    stride: int = 1,
    alpha: float = 1.0,
) -> TimeDistributed:
    """A convolution without bias, then tdBN, at every timestep, for the neuron behind them."""
    conv: nn.Conv2d = (
        PointwiseConv2d(inputs, outputs, stride, bias=False)
        if kernel == 1
        else nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    )
    norm = TDBatchNorm2d(outputs, threshold=starting_threshold(neuron), alpha=alpha)
    return TimeDistributed(conv, norm)


class SpikingConv(nn.Sequential):
    """Convolution, tdBN and neuron. `shape` is the shape of one step of the output."""

    def __init__(
        self,
        neuron: NeuronFactory,
        shape: Shape,
        channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
    ) -> None:
        out = strided(shape, channels, stride)
        cells = neuron(out)
        conv, norm = conv_norm(shape[0], channels, cells, kernel=kernel, stride=stride)
        super().__init__(TimeDistributed(conv), Normed(norm, cells))
        self.shape = out


def linear_norm(inputs: int, outputs: int, neuron: SpikingLayer) -> TimeDistributed:
    """A linear layer without bias, then tdBN, at every timestep, for the neuron behind them."""
    norm = TDBatchNorm1d(outputs, threshold=starting_threshold(neuron))
    return TimeDistributed(nn.Linear(inputs, outputs, bias=False), norm)


def starting_threshold(neuron: SpikingLayer) -> float:
    """A neuron's mean threshold, to which tdBN in front of it normalises."""
    return float(neuron.threshold.detach().mean())


class SpikingNetwork(nn.Module):
    """Base of the networks: `(T, B, *shape) -> (T, B, classes)`, one output per timestep.

    A subclass sets `self.body`, which ends in `(T, B, features)`, and `self.head`.

    Args:
        shape: of one step without its batch.
        images: the shape has to be `(C, H, W)`.
    """

    body: nn.Module
    head: nn.Module

    def __init__(self, shape: tuple[int, ...], *, images: bool = False) -> None:
        super().__init__()
        if not isinstance(shape, Sequence) or (images and len(shape) != 3):
            expected = "(C, H, W), such as (3, 32, 32)" if images else "such as (40,)"
            raise ValueError(
                f"shape: {type(self).__name__} expects one step without its batch, {expected}, "
                f"got {shape!r}"
            )
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != torch.Size(self.shape):
            raise not_over_time(self.shape, x.shape)
        out: Tensor = self.head(self.body(x))
        if out.ndim != 3 or out.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"{type(self).__name__}: expected outputs (T, B, classes) for x of shape "
                f"{tuple(x.shape)}, got {tuple(out.shape)}; a layer without time of its own goes "
                "into neurodyn.layers.TimeDistributed"
            )
        return out

    def stream(self) -> Stream:
        """This network for a sequence that comes in chunks."""
        return Stream(self)


def scaled(channels: int, width: float) -> int:
    """A published number of channels times a network's width, rounded to a multiple of eight.

    Multiples of eight fill a processor's vectors.
    """
    return max(8, 8 * round(width * channels / 8))


def strided(shape: Shape, channels: int, stride: int) -> Shape:
    """The shape after a convolution or a 3x3 pooling of this stride, with "same" padding."""
    _, height, width = shape
    return channels, -(-height // stride), -(-width // stride)


def halved(shape: Shape) -> Shape:
    """The shape after pooling by two."""
    channels, height, width = shape
    if min(height, width) < 2:
        raise ValueError(f"shape: feature maps of {height}x{width} are too small to pool by two")
    return channels, height // 2, width // 2
