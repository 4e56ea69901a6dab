"""Networks: each takes a neuron factory, so that any neuron drops in."""

from neurodyn.models.blocks import NeuronFactory, SpikingNetwork
from neurodyn.models.convnet import ConvNet
from neurodyn.models.resnet import ResNet19, resnet19
from neurodyn.models.sequence import SequenceNet
from neurodyn.models.vgg import VGGSNN

__all__ = [
    "VGGSNN",
    "ConvNet",
    "NeuronFactory",
    "ResNet19",
    "SequenceNet",
    "SpikingNetwork",
    "resnet19",
]
