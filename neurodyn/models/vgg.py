"""VGGSNN: the network of the CIFAR10-DVS results (TET, Deng et al., ICLR 2022)."""

from __future__ import annotations

from torch import nn

from neurodyn.layers import AvgPool2d, TimeDistributed
from neurodyn.models.blocks import (
    NeuronFactory,
    Shape,
    SpikingConv,
    SpikingNetwork,
    halved,
    scaled,
)
from neurodyn.neurons import LIF

LAYERS = (64, 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")


class VGGSNN(SpikingNetwork):
    """64C3-128C3-AP2-256C3-256C3-AP2-512C3-512C3-AP2-512C3-512C3-AP2-FC.

    1.362 G synaptic operations per dense step and 0.922 M neurons at 2x48x48.

    Args:
        neuron: makes each layer's neuron from the shape of its step.
        shape: of one frame, `(C, H, W)`; at least 16 pixels high and wide.
        classes: number of outputs.
        width: factor on all channel numbers.
    """

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: Shape = (2, 48, 48),
        classes: int = 10,
        width: float = 1.0,
    ) -> None:
        super().__init__(shape, images=True)
        body = nn.Sequential()
        current = shape
        for layer in LAYERS:
            if isinstance(layer, str):
                body.append(TimeDistributed(AvgPool2d(2)))
                current = halved(current)
            else:
                spiking = SpikingConv(neuron, current, scaled(layer, width))
                body.extend(spiking)
                current = spiking.shape
        self.body = body
        features = current[0] * current[1] * current[2]
        self.head = TimeDistributed(nn.Flatten(), nn.Linear(features, classes))
