"""SequenceNet: dense layers over time, for sounds, events and other sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from neurodyn.layers import TimeDistributed
from neurodyn.models.blocks import NeuronFactory, SpikingNetwork, linear_norm
from neurodyn.neurons import LIF


class SequenceNet(SpikingNetwork):
    """Linear-norm-neuron-dropout layers and a linear-norm head: `(T, B, *shape)` in, `(T, B,
    classes)` out.

    No layer has a bias; normalisation is over batch and time. With two layers and a `Leaky`
    read-out this is the network of the SHD results (Bittar & Garner 2022; arXiv:2512.01906).

    Args:
        neuron: makes each layer's neuron from the shape of its step, `(width,)`.
        shape: of one step of one sample; more than one dimension is flattened.
        classes: number of outputs.
        widths: neurons of each layer.
        dropout: share of each layer's spikes that is dropped in training.
        momentum: of the normalisations' running statistics; the paper's.
    """

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: tuple[int, ...] = (140,),
        classes: int = 20,
        widths: Sequence[int] = (128, 128),
        dropout: float = 0.0,
        momentum: float = 0.05,
    ) -> None:
        super().__init__(shape)
        if not widths:
            raise ValueError("widths: expected at least one layer")
        body = nn.Sequential(nn.Flatten(2))
        inputs = math.prod(shape)
        for width in widths:
            cells = neuron((width,))
            synapses = linear_norm(inputs, width, cells, momentum=momentum)
            body.extend([synapses, cells, nn.Dropout(dropout)])
            inputs = width
        self.body = body
        self.head = TimeDistributed(
            nn.Linear(inputs, classes, bias=False), nn.BatchNorm1d(classes, momentum=momentum)
        )
