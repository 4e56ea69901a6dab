"""ConvNet: a small network for small images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from neurodyn.layers import AvgPool2d, Dropout, TimeDistributed
from neurodyn.models.blocks import NeuronFactory, Shape, SpikingConv, SpikingNetwork, halved
from neurodyn.neurons import LIF


class ConvNet(SpikingNetwork):
    """Conv3x3-tdBN-neuron blocks with 2x2 average pooling between them, then a linear head.

    Args:
        neuron: makes each layer's neuron from the shape of its step.
        shape: of one image, `(C, H, W)`.
        classes: number of outputs.
        widths: channels of each block.
        dropout: on the flattened features.
    """

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: Shape = (1, 8, 8),
        classes: int = 10,
        widths: Sequence[int] = (32, 64),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(shape, images=True)
        body = nn.Sequential()
        current = shape
        for i, width in enumerate(widths):
            layer = SpikingConv(neuron, current, width)
            body.extend(layer)
            current = layer.shape
            if i + 1 < len(widths):
                body.append(TimeDistributed(AvgPool2d(2)))
                current = halved(current)
        self.body = body
        features = current[0] * current[1] * current[2]
        self.head = TimeDistributed(nn.Flatten(), Dropout(dropout), nn.Linear(features, classes))
