"""Data sets as Lightning data modules: compact in memory, augmented batchwise on the device.

    from neurodyn.data import Digits

    data = Digits(batch_size=64, limit=500)
    trainer.fit(model, datamodule=data)

`SampleData` splits and serves samples of any kind, `ImageData` and `SequenceData` make batches of
images and of sequences of them; a data set of your own is a subclass of either with a `read`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurodyn.errors import require

if TYPE_CHECKING:
    from neurodyn.data.base import SampleData
    from neurodyn.data.images import ImageData
    from neurodyn.data.sequences import SequenceData
    from neurodyn.data.sets.cameras import CIFAR10DVS, NMNIST, DVSGesture, EventData
    from neurodyn.data.sets.heidelberg import SHD, SSC
    from neurodyn.data.sets.imagenet import ImageNet
    from neurodyn.data.sets.images import CIFAR10, CIFAR100, MNIST, Digits, FashionMNIST
    from neurodyn.data.sets.lag import LagTask
    from neurodyn.data.sets.rate import RateDigits, RateMNIST
    from neurodyn.data.sets.sequential import SequentialCIFAR10, SequentialDigits, SequentialMNIST
    from neurodyn.data.sets.spoken_digits import SpokenDigits, SpokenDigitSpikes
    from neurodyn.data.sets.tidigits import NTIDIGITS

HOMES = {
    "base": ("SampleData",),
    "images": ("ImageData",),
    "sequences": ("SequenceData",),
    "sets.cameras": ("CIFAR10DVS", "NMNIST", "DVSGesture", "EventData"),
    "sets.heidelberg": ("SHD", "SSC"),
    "sets.imagenet": ("ImageNet",),
    "sets.images": ("CIFAR10", "CIFAR100", "MNIST", "Digits", "FashionMNIST"),
    "sets.lag": ("LagTask",),
    "sets.rate": ("RateDigits", "RateMNIST"),
    "sets.sequential": ("SequentialCIFAR10", "SequentialDigits", "SequentialMNIST"),
    "sets.spoken_digits": ("SpokenDigits", "SpokenDigitSpikes"),
    "sets.tidigits": ("NTIDIGITS",),
}

__all__ = [
    "CIFAR10",
    "CIFAR10DVS",
    "CIFAR100",
    "MNIST",
    "NMNIST",
    "NTIDIGITS",
    "SHD",
    "SSC",
    "DVSGesture",
    "Digits",
    "EventData",
    "FashionMNIST",
    "ImageData",
    "ImageNet",
    "LagTask",
    "RateDigits",
    "RateMNIST",
    "SampleData",
    "SequenceData",
    "SequentialCIFAR10",
    "SequentialDigits",
    "SequentialMNIST",
    "SpokenDigitSpikes",
    "SpokenDigits",
]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import: not before somebody asks for a data set.
    for home, names in HOMES.items():
        if name in names:
            require("lightning", "train")
            return getattr(importlib.import_module(f"neurodyn.data.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
