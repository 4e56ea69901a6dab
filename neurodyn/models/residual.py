"""Residual blocks. Their shortcuts end in different places: in front of the last neuron, behind it
(SEW), or past all neurons (MS).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from neurodyn.layers import RESIDUAL
from neurodyn.models.blocks import NeuronFactory, Shape, SpikingConv, conv_norm, strided

Stage = tuple[int, int, int]
"""Width, number of blocks, stride of the first block."""


class ResidualBlock(nn.Module):
    """Base of the blocks: `branch(x) + shortcut(x)`. The branch has two 3x3 convolutions.

    Args:
        neuron: makes each layer's neuron.
        shape: of one step of the input.
        channels: of the output.
        stride: of the first convolution, and of the shortcut. If the shapes of input and output
            differ, the shortcut is a 1x1 convolution; otherwise the identity.
    """

    branch: nn.Module

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int, stride: int) -> None:
        super().__init__()
        self.shape = strided(shape, channels, stride)
        self.shortcut: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x) + self.shortcut(x)
        return out


class BasicBlock(ResidualBlock):
    """`neuron(conv-tdBN-neuron-conv-tdBN(x) + shortcut(x))` (Zheng et al., AAAI 2021).

    Each normalised term of the sum has a variance of one half. An identity shortcut adds spikes.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int, stride: int) -> None:
        super().__init__(neuron, shape, channels, stride)
        inner, outer = SpikingConv(neuron, shape, channels, stride=stride), neuron(self.shape)
        self.branch = nn.Sequential(
            *inner,
            conv_norm(channels, channels, outer, alpha=RESIDUAL),
        )
        if self.shape != shape:
            self.shortcut = conv_norm(
                shape[0], channels, outer, kernel=1, stride=stride, alpha=RESIDUAL
            )
        self.neuron = outer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.neuron(super().forward(x))
        return out


class SEWBlock(ResidualBlock):
    """`conv-tdBN-neuron-conv-tdBN-neuron(x) + shortcut(x)`: spike-element-wise, by addition (Fang
    et al., NeurIPS 2021).

    The output counts spikes: those of the branch plus those of the input. A shortcut with a
    convolution ends in a neuron of its own.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int, stride: int) -> None:
        super().__init__(neuron, shape, channels, stride)
        self.branch = nn.Sequential(
            SpikingConv(neuron, shape, channels, stride=stride),
            SpikingConv(neuron, self.shape, channels),
        )
        if self.shape != shape:
            self.shortcut = SpikingConv(neuron, shape, channels, kernel=1, stride=stride)


class MSBlock(ResidualBlock):
    """`neuron-conv-tdBN-neuron-conv-tdBN(x) + shortcut(x)`: the shortcut carries currents from
    block to block, past every neuron (Hu et al., arXiv:2112.08954).

    The branch's last norm starts at zero, as in the authors' code: a block starts as its shortcut.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int, stride: int) -> None:
        super().__init__(neuron, shape, channels, stride)
        first = neuron(shape)
        self.branch = nn.Sequential(
            first,
            *SpikingConv(neuron, shape, channels, stride=stride),
            conv_norm(channels, channels, first, alpha=0.0),
        )
        if self.shape != shape:
            self.shortcut = conv_norm(shape[0], channels, first, kernel=1, stride=stride)
            self.analog = ("shortcut.0",)


def stages(
    block: type[ResidualBlock], neuron: NeuronFactory, shape: Shape, plan: Iterable[Stage]
) -> list[ResidualBlock]:
    """The blocks of all stages, one after the other, for an input of this shape."""
    made: list[ResidualBlock] = []
    for channels, blocks, first_stride in plan:
        for i in range(blocks):
            made.append(block(neuron, shape, channels, first_stride if i == 0 else 1))
            shape = made[-1].shape
    return made
