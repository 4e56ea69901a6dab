"""Data sets as Lightning data modules: compact in memory, augmented batchwise on the device.

    from neurodyn.data import Digits

    data = Digits(batch_size=64, limit=500)
    trainer.fit(model, datamodule=data)

`SampleData` splits and serves samples of any kind. `ImageData` makes batches of images,
`SequenceData` of samples that have time. For a data set of your own, subclass one of these two and
write its `read`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurodyn.errors import require

if TYPE_CHECKING:
    from neurodyn.data.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import: not before a class is asked for.
    if name == "__all__" or name[:1].isupper():
        require("lightning", "train")
        public = vars(importlib.import_module("neurodyn.data.public"))
        if name == "__all__":
            return [known for known in public if known[0].isupper()]
        if name in public:
            return public[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
