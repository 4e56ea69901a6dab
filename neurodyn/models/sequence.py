"""SequenceNet: dense layers over time, for sounds, events and other sequences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import nn

from neurodyn.layers import Dropout, TDBatchNorm1d, TimeDistributed
from neurodyn.models.blocks import NeuronFactory, SpikingNetwork, starting_threshold
from neurodyn.neurons import LIF, grade_timescales

SynapseFactory = Callable[[int, int], nn.Module]
"""Makes a layer's synapses, `(T, B, inputs) -> (T, B, outputs)`, from `inputs` and `outputs`."""


class SequenceNet(SpikingNetwork):
    """Linear-norm-neuron-dropout layers and a linear-norm head: `(T, B, *shape)` in, `(T, B,
    classes)` out.

    No layer has a bias. Norms are over batch and time. With two layers and `SoftmaxSum` this is the
    network of the SHD results (Bittar & Garner 2022; arXiv:2512.01906).

    Args:
        neuron: makes each layer's neuron from the shape of its step, `(width,)`.
        shape: of one step of one sample; several dimensions are flattened.
        classes: number of outputs.
        widths: neurons of each layer.
        dropout: share of each layer's spikes dropped in training.
        momentum: of the norms' running statistics; the default is the paper's.
        gain: the start of the scale of the norm in front of each neuron, in thresholds. A neuron
            with a long memory sums many inputs, and would fire all the time if each were as large
            as the threshold.
        timescales: `(low, high)` grades the membranes' time constants from the first layer to the
            last (`grade_timescales`); for neurons that have such constants.
        synapses: makes the synapses in front of each norm, such as `LearnedDelays`; by default
            linear layers without bias. The head is always linear.
    """

    def __init__(
        self,
        neuron: NeuronFactory = LIF,
        shape: tuple[int, ...] = (140,),
        classes: int = 20,
        widths: Sequence[int] = (128, 128),
        dropout: float = 0.0,
        momentum: float = 0.05,
        gain: float = 1.0,
        timescales: tuple[float, float] | None = None,
        synapses: SynapseFactory | None = None,
    ) -> None:
        super().__init__(shape)
        if not widths:
            raise ValueError("widths: expected at least one layer")
        body = nn.Sequential(nn.Flatten(2))
        inputs = math.prod(shape)
        for width in widths:
            cells = neuron((width,))
            threshold = starting_threshold(cells)
            norm = TDBatchNorm1d(width, threshold=threshold, alpha=gain, momentum=momentum)
            if synapses is None:
                body.append(TimeDistributed(nn.Linear(inputs, width, bias=False), norm))
            else:
                body.extend([synapses(inputs, width), TimeDistributed(norm)])
            body.extend([cells, Dropout(dropout)])
            inputs = width
        self.body = body
        if timescales is not None:
            grade_timescales(body, *timescales)
        self.head = TimeDistributed(
            nn.Linear(inputs, classes, bias=False), nn.BatchNorm1d(classes, momentum=momentum)
        )
