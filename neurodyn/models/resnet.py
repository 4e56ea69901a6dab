"""ResNet-19: the network of the CIFAR results (Zheng et al., AAAI 2021)."""

from __future__ import annotations

from torch import Tensor, nn

from neurodyn.layers import RESIDUAL, TimeDistributed
from neurodyn.models.blocks import NeuronFactory, Shape, SpikingNetwork, conv_norm, linear_norm
from neurodyn.neurons import LIF

STAGES = ((128, 3, 1), (256, 3, 2), (512, 2, 2))
"""Width, blocks and first stride of each stage."""


class BasicBlock(nn.Module):
    """conv-tdBN-neuron-conv-tdBN, plus the input (1x1 conv-tdBN where shapes differ), neuron.

    Normalised branches of the sum have a variance of one half; an identity shortcut adds spikes.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int, stride: int) -> None:
        super().__init__()
        inputs, height, width = shape
        self.shape: Shape = (channels, -(-height // stride), -(-width // stride))
        inner, outer = neuron(self.shape), neuron(self.shape)
        self.branch = nn.Sequential(
            conv_norm(inputs, channels, inner, stride=stride),
            inner,
            conv_norm(channels, channels, outer, alpha=RESIDUAL),
        )
        self.shortcut: nn.Module = nn.Identity()
        if self.shape != shape:
            self.shortcut = conv_norm(
                inputs, channels, outer, kernel=1, stride=stride, alpha=RESIDUAL
            )
        self.neuron = outer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.neuron(self.branch(x) + self.shortcut(x))
        return out


class ResNet19(SpikingNetwork):
    """Spiking ResNet-19: a stem, stages of 3, 3 and 2 blocks, global pooling, two linear layers.

    2.216 G synaptic operations a dense step and 1.377 M neurons at 3x32x32.

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
        super().__init__(shape)

        def scaled(channels: int) -> int:
            return max(1, round(width * channels))

        channels, height, breadth = shape
        current: Shape = (scaled(64), height, breadth)
        cells = neuron(current)
        body = nn.Sequential(conv_norm(channels, current[0], cells), cells)
        for stage_width, blocks, first_stride in STAGES:
            for i in range(blocks):
                stride = first_stride if i == 0 else 1
                block = BasicBlock(neuron, current, scaled(stage_width), stride)
                body.append(block)
                current = block.shape
        body.append(TimeDistributed(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        hidden = scaled(256)
        cells = neuron((hidden,))
        body.extend([linear_norm(current[0], hidden, cells), cells])
        self.body = body
        self.head = TimeDistributed(nn.Linear(hidden, classes))


def resnet19(neuron: NeuronFactory = LIF, classes: int = 10) -> ResNet19:
    """The published ResNet-19 for 32x32 images, with the given neuron."""
    return ResNet19(neuron, classes=classes)
