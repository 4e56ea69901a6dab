"""The classes of `neurodyn.data`; importing them imports Lightning, which takes seconds."""
# ruff: noqa: F401

from neurodyn.data.adapted import AdaptedModule
from neurodyn.data.augment.events import EventAugment
from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.augment.spikes import SpikeAugment
from neurodyn.data.base import SampleData
from neurodyn.data.images import ImageData
from neurodyn.data.samples import Files
from neurodyn.data.sequences import SequenceData
from neurodyn.data.sets.array_files import ArrayFile
from neurodyn.data.sets.arrays import TensorData
from neurodyn.data.sets.cameras import CIFAR10DVS, NMNIST, DVSGesture, EventData
from neurodyn.data.sets.datasets import DatasetData
from neurodyn.data.sets.diabetes import Diabetes
from neurodyn.data.sets.ecg import QTDB
from neurodyn.data.sets.folders import ImageFolder
from neurodyn.data.sets.heidelberg import SHD, SSC, SpikeData
from neurodyn.data.sets.imagenet import ImageNet
from neurodyn.data.sets.images import CIFAR10, CIFAR100, MNIST, Digits, FashionMNIST
from neurodyn.data.sets.lag import LagTask
from neurodyn.data.sets.rate import RateDigits, RateMNIST
from neurodyn.data.sets.recordings import EventFolder
from neurodyn.data.sets.sequential import SequentialCIFAR10, SequentialDigits, SequentialMNIST
from neurodyn.data.sets.spoken_digits import SpokenDigits, SpokenDigitSpikes
from neurodyn.data.sets.tidigits import NTIDIGITS
from neurodyn.data.targets import Targets
