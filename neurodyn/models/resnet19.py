"""ResNet-19: the network of the CIFAR results (Zheng et al., AAAI 2021)."""

from __future__ import annotations

from torch import nn

from neurodyn.layers import TimeDistributed
from neurodyn.models.blocks import (
    NeuronFactory,
    Shape,
    SpikingConv,
    SpikingNetwork,
    linear_norm,
    scaled,
)
from neurodyn.models.residual import BasicBlock, stages
from neurodyn.neurons import LIF

STAGES = ((128, 3, 1), (256, 3, 2), (512, 2, 2))
"""Width, blocks and first stride of each stage."""


class ResNet19(SpikingNetwork):
    """Spiking ResNet-19: a stem, stages of 3, 3 and 2 blocks, global pooling, two linear layers.

    2.216 G synaptic operations per dense step and 1.377 M neurons at 3x32x32.

    Args:
        neuron: makes each layer's neuron from the shape of its step.
        shape: of one image, `(C, H, W)`.
        classes: number of outputs.
        width: factor on all channel numbers; 1 is the published network.
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
        plan = [(scaled(channels, width), blocks, stride) for channels, blocks, stride in STAGES]
        blocks = stages(BasicBlock, neuron, stem.shape, plan)
        hidden = scaled(256, width)
        cells = neuron((hidden,))
        self.body = nn.Sequential(
            *stem,
            *blocks,
            TimeDistributed(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            linear_norm(blocks[-1].shape[0], hidden, cells),
            cells,
        )
        self.head = TimeDistributed(nn.Linear(hidden, classes))


def resnet19(neuron: NeuronFactory = LIF, classes: int = 10) -> ResNet19:
    """The published ResNet-19 for 32x32 images, with the given neuron."""
    return ResNet19(neuron, classes=classes)
