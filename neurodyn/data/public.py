"""The classes of `neurodyn.data`; importing them imports Lightning, which takes seconds."""
# ruff: noqa: F401

from neurodyn.data.augment.events import EventAugment
from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.augment.spikes import SpikeAugment
from neurodyn.data.base import SampleData
from neurodyn.data.images import ImageData
from neurodyn.data.sequences import SequenceData
from neurodyn.data.sets.cameras import CIFAR10DVS, NMNIST, DVSGesture, EventData
from neurodyn.data.sets.diabetes import Diabetes
from neurodyn.data.sets.ecg import QTDB
from neurodyn.data.sets.heidelberg import SHD, SSC, SpikeData
from neurodyn.data.sets.imagenet import ImageNet
from neurodyn.data.sets.images import CIFAR10, CIFAR100, MNIST, Digits, FashionMNIST
from neurodyn.data.sets.lag import LagTask
from neurodyn.data.sets.rate import RateDigits, RateMNIST
from neurodyn.data.sets.sequential import SequentialCIFAR10, SequentialDigits, SequentialMNIST
from neurodyn.data.sets.spoken_digits import SpokenDigits, SpokenDigitSpikes
from neurodyn.data.sets.tidigits import NTIDIGITS
