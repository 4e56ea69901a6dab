"""Spikformer: a transformer of spikes (Zhou et al., ICLR 2023)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from neurodyn.layers import MatMul, TimeDistributed
from neurodyn.models.blocks import (
    NeuronFactory,
    Shape,
    SpikingConv,
    SpikingNetwork,
    starting_threshold,
    strided,
)
from neurodyn.neurons import LIF


class Residual(nn.Module):
    """`x + layer(x)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layer(x)
        return out


class SpikingSelfAttention(nn.Module):
    """Self-attention between spikes, without softmax, at each timestep separately:

        y = neuron(conv-tdBN(neuron(scale Q K^T V)))        Q, K, V = neuron(conv-tdBN(x))

    `(T, B, C, H, W)` in and out. The H W positions are the tokens, each group of C / heads channels
    is a head, convolutions are 1x1. Only the neurons mix timesteps, so attention is causal.

    `Q, K, V >= 0` need no softmax. Without one the product is associative, and is computed as
    `Q (K^T V)` at a cost linear in the tokens. The paper's scale is 1/8 for a threshold of 1/2.
    Here it is a quarter of the factory's threshold.

    Args:
        neuron: makes each layer's neuron.
        shape: of one step, `(C, H, W)`.
        heads: number of heads; divides C.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, heads: int) -> None:
        super().__init__()
        channels = shape[0]
        if heads < 1 or channels % heads:
            raise ValueError(f"heads: expected a divisor of the {channels} channels, got {heads}")
        self.heads = heads
        self.query = SpikingConv(neuron, shape, channels, kernel=1)
        self.key = SpikingConv(neuron, shape, channels, kernel=1)
        self.value = SpikingConv(neuron, shape, channels, kernel=1)
        self.summary, self.answer = MatMul(), MatMul()
        self.neuron = neuron(shape)
        self.scale = 0.25 * starting_threshold(self.neuron)
        self.projection = SpikingConv(neuron, shape, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._split(f(x)) for f in (self.query, self.key, self.value))
        summary = self.summary(value, key.transpose(-2, -1))
        mixed = self.scale * self.answer(summary, query)
        out: Tensor = self.projection(self.neuron(mixed.reshape(x.shape)))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W) -> (T, B, heads, C / heads, H W)`."""
        T, B, C, H, W = x.shape
        return x.reshape(T, B, self.heads, C // self.heads, H * W)


def encoder_block(neuron: NeuronFactory, shape: Shape, heads: int, ratio: int = 4) -> nn.Sequential:
    """`x + attention(x)`, then `x + mlp(x)`. The MLP is two layers of 1x1 convolution, tdBN and
    neuron; the first is `ratio` times as wide."""
    wide = SpikingConv(neuron, shape, ratio * shape[0], kernel=1)
    return nn.Sequential(
        Residual(SpikingSelfAttention(neuron, shape, heads)),
        Residual(nn.Sequential(wide, SpikingConv(neuron, wide.shape, shape[0], kernel=1))),
    )


class PatchSplitting(nn.Sequential):
    """Spiking patch splitting: four layers of conv3x3-tdBN-neuron with 1/8, 1/4, 1/2 and all of the
    channels. Max-pooling follows the last two (patches of 4 pixels) or all four (16). A fifth layer
    adds its spikes to its input, as a position embedding.
    """

    def __init__(self, neuron: NeuronFactory, shape: Shape, channels: int, patch: int) -> None:
        if patch not in (4, 16):
            raise ValueError(f"patch: expected 4 or 16 pixels, got {patch}")
        if channels % 8:
            raise ValueError(f"channels: expected a multiple of 8, got {channels}")
        super().__init__()
        for i, part in enumerate((8, 4, 2, 1)):
            layer = SpikingConv(neuron, shape, channels // part)
            self.extend(layer)
            shape = layer.shape
            if i >= 2 or patch == 16:
                self.append(TimeDistributed(nn.MaxPool2d(3, 2, padding=1)))
                shape = strided(shape, shape[0], 2)
        self.append(Residual(SpikingConv(neuron, shape, channels)))
        self.shape = shape


class Spikformer(SpikingNetwork):
    """Spikformer: patch splitting, blocks of spiking self-attention and MLP, the mean over tokens,
    a linear head.

    Spikformer-4-384 on CIFAR (the defaults) has 9.3 M parameters, Spikformer-8-512 on ImageNet
    (`channels=512, depth=8, heads=8, patch=16` at 3x224x224) 29.7 M. The paper's layers in front of
    a norm have biases, 14 k and 25 k in all, which have no effect there; ours have none. Shortcuts
    add spikes, as in SEW-ResNet.

    Args:
        neuron: makes each layer's neuron from the shape of its step; the paper's is
            `LIF(decay_input=True, detach_reset=True)`.
        shape: of one image, `(C, H, W)`.
        classes: number of outputs.
        channels: of a token; a multiple of 8.
        depth: number of blocks.
        heads: of the attention.
        patch: height and width of a patch in pixels, 4 or 16.
    """

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: Shape = (3, 32, 32),
        classes: int = 10,
        channels: int = 384,
        depth: int = 4,
        heads: int = 12,
        patch: Literal[4, 16] = 4,
    ) -> None:
        super().__init__(shape, images=True)
        patches = PatchSplitting(neuron, shape, channels, patch)
        self.body = nn.Sequential(
            patches,
            *(encoder_block(neuron, patches.shape, heads) for _ in range(depth)),
            TimeDistributed(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        self.head = TimeDistributed(nn.Linear(channels, classes))
