"""Networks. Each takes a neuron factory, so any neuron fits in."""

from neurodyn.models.blocks import NeuronFactory, SpikingNetwork
from neurodyn.models.convnet import ConvNet
from neurodyn.models.gated import GatedNet
from neurodyn.models.ms import MSResNet
from neurodyn.models.resnet import ResNet, SEWResNet
from neurodyn.models.resnet9 import ResNet9
from neurodyn.models.resnet19 import ResNet19, resnet19
from neurodyn.models.sequence import SequenceNet
from neurodyn.models.spikformer import Spikformer
from neurodyn.models.vgg import VGGSNN

__all__ = [
    "VGGSNN",
    "ConvNet",
    "GatedNet",
    "MSResNet",
    "NeuronFactory",
    "ResNet",
    "ResNet9",
    "ResNet19",
    "SEWResNet",
    "SequenceNet",
    "Spikformer",
    "SpikingNetwork",
    "resnet19",
]
