"""MS-ResNet: shortcuts that carry currents past every neuron (Hu et al., arXiv:2112.08954)."""

from __future__ import annotations

from typing import Literal

from torch import nn

from neurodyn.layers import TimeDistributed
from neurodyn.models.blocks import NeuronFactory, Shape, SpikingNetwork, conv_norm, scaled, strided
from neurodyn.models.residual import MSBlock, stages
from neurodyn.models.resnet import Stem, plan
from neurodyn.neurons import LIF


class MSResNet(SpikingNetwork):
    """MS-ResNet: conv7x7-tdBN, four stages of blocks, a neuron, global pooling, a linear head.

    21.8 M parameters with depth 34. As in the authors' code there is no max-pooling: the first
    stage has a stride of two instead, and no neuron stands between the stem and the first block.

    Args:
        neuron, shape, classes, depth, width: as for `ResNet`.
        stem: `"large"` is the published one. `"small"` is a 3x3 convolution; neither it nor the
            first stage then changes height and width.
    """

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
        kernel, stride = (7, 2) if stem == "large" else (3, 1)
        current = strided(shape, scaled(64, width), stride)
        blocks = stages(MSBlock, neuron, current, plan(depth, width, first_stride=stride))
        final = blocks[-1].shape
        cells = neuron(final)
        self.body = nn.Sequential(
            conv_norm(shape[0], current[0], cells, kernel=kernel, stride=stride),
            *blocks,
            cells,
            TimeDistributed(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        self.head = TimeDistributed(nn.Linear(final[0], classes))
