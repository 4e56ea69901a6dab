"""ResNet-18 and -34 with neurons, for ImageNet: the plain one and SEW-ResNet."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from neurodyn.layers import TimeDistributed
from neurodyn.models.blocks import (
    NeuronFactory,
    Shape,
    SpikingConv,
    SpikingNetwork,
    scaled,
    strided,
)
from neurodyn.models.residual import BasicBlock, ResidualBlock, SEWBlock, Stage, stages
from neurodyn.neurons import LIF

Stem = Literal["large", "small"]

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks in each of the four stages."""


def plan(depth: int, width: float, first_stride: int) -> list[Stage]:
    """The four stages of a ResNet of this depth (He et al., CVPR 2016)."""
    if depth not in DEPTHS:
        raise ValueError(f"depth: expected {' or '.join(map(str, DEPTHS))}, got {depth}")
    widths, strides = (64, 128, 256, 512), (first_stride, 2, 2, 2)
    return [
        (scaled(channels, width), blocks, stride)
        for channels, blocks, stride in zip(widths, DEPTHS[depth], strides, strict=True)
    ]


class ResNet(SpikingNetwork):
    """Spiking ResNet: conv7x7-neuron-maxpool, four stages of blocks, global pooling, a linear head.

    With depth 34 at 3x224x224 this is the ImageNet network of the tdBN paper and its descendants:
    3.664 G synaptic operations per dense step, 3.562 M neurons, 21.8 M parameters.

    Args:
        neuron: makes each layer's neuron from the shape of its step.
        shape: of one image, `(C, H, W)`.
        classes: number of outputs.
        depth: 18 or 34.
        width: factor on all channel numbers; 1 is the published network.
        stem: `"large"` is the published one, which divides height and width by four. `"small"` is a
            3x3 convolution that keeps them, for images of CIFAR's size.
    """

    block: ClassVar[type[ResidualBlock]] = BasicBlock

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: Shape = (3, 224, 224),
        classes: int = 1000,
        depth: Literal[18, 34] = 34,
        width: float = 1.0,
        stem: Stem = "large",
    ) -> None:
        super().__init__(shape, images=True)
        channels = scaled(64, width)
        body = nn.Sequential()
        if stem == "large":
            first = SpikingConv(neuron, shape, channels, kernel=7, stride=2)
            body.extend([*first, TimeDistributed(nn.MaxPool2d(3, 2, padding=1))])
            current = strided(first.shape, channels, 2)
        else:
            first = SpikingConv(neuron, shape, channels)
            body.extend(first)
            current = first.shape
        blocks = stages(self.block, neuron, current, plan(depth, width, first_stride=1))
        body.extend([*blocks, TimeDistributed(nn.AdaptiveAvgPool2d(1), nn.Flatten())])
        self.body = body
        self.head = TimeDistributed(nn.Linear(blocks[-1].shape[0], classes))


class SEWResNet(ResNet):
    """SEW-ResNet: shortcuts that add spikes to spikes (Fang et al., NeurIPS 2021; ADD).

    11.7 M parameters with depth 18 and 21.8 M with 34. The paper's neuron is `IF` with
    `detach_reset=True`.

    Takes the arguments of `ResNet`.
    """

    block = SEWBlock
