"""ResNet-9: a short and wide network, for training CIFAR-10 in minutes."""

from __future__ import annotations

from torch import nn

from neurodyn.layers import Normed, TDBatchNorm2d, TimeDistributed
from neurodyn.models.blocks import (
    NeuronFactory,
    Shape,
    SpikingConv,
    SpikingNetwork,
    halved,
    scaled,
    starting_threshold,
)
from neurodyn.models.residual import SEWBlock
from neurodyn.neurons import LIF


class PooledConv(nn.Sequential):
    """Convolution, 2x2 max-pooling, tdBN, neuron. Pooling before the neuron leaves a quarter of the
    neurons; pooling before the norm keeps their input normalised.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int) -> None:
        out = halved((channels, *shape[1:]))
        cells = neuron(out)
        conv = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        norm = TDBatchNorm2d(channels, threshold=starting_threshold(cells))
        super().__init__(TimeDistributed(conv, nn.MaxPool2d(2)), Normed(norm, cells))
        self.shape = out


class ResNet9(SpikingNetwork):
    """64C3, 128C3-MP2, residual block, 256C3-MP2, 512C3-MP2, residual block, global max-pooling, a
    linear head: the network of the speed runs on CIFAR-10 (Page, DAWNBench 2018) with neurons
    instead of ReLU, and shortcuts as in SEW-ResNet. 6.6 M parameters.

    The spiking version is ours and not from a paper.

    Args:
        neuron: makes each layer's neuron from the shape of its step.
        shape: of one image, `(C, H, W)`; at least 8 pixels high and wide.
        classes: number of outputs.
        width: factor on all channel numbers.
    """

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: Shape = (3, 32, 32),
        classes: int = 10,
        width: float = 1.0,
    ) -> None:
        super().__init__(shape, images=True)
        stem = SpikingConv(neuron, shape, scaled(64, width))
        first = PooledConv(neuron, stem.shape, scaled(128, width))
        second = PooledConv(neuron, first.shape, scaled(256, width))
        third = PooledConv(neuron, second.shape, scaled(512, width))
        self.body = nn.Sequential(
            stem,
            first,
            SEWBlock(neuron, first.shape, first.shape[0], stride=1),
            second,
            third,
            SEWBlock(neuron, third.shape, third.shape[0], stride=1),
            TimeDistributed(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        )
        self.head = TimeDistributed(nn.Linear(third.shape[0], classes))
