"""Data sets as Lightning data modules: images in memory, augmented batchwise on the device.

    from neurodyn.data import Digits

    data = Digits(batch_size=64, limit=500)
    trainer.fit(model, datamodule=data)

`idx` and `cifar` read the files, `sources` says where they come from, `images` holds and splits
them, `augment` varies them, `module` serves them, `datasets` names them. A data set of your own is
a subclass of `ImageData` with a `read`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurodyn.errors import require

if TYPE_CHECKING:
    from neurodyn.data.datasets import CIFAR10, CIFAR100, MNIST, Digits, FashionMNIST
    from neurodyn.data.module import ImageData

__all__ = ["CIFAR10", "CIFAR100", "MNIST", "Digits", "FashionMNIST", "ImageData"]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import: not before somebody asks for a data set.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("lightning", "train")
    home = "module" if name == "ImageData" else "datasets"
    return getattr(importlib.import_module(f"neurodyn.data.{home}"), name)
