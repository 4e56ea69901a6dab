"""The python batches of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurodyn.data.formats.pickles import load_pickle
from neurodyn.data.formats.reading import reading

PIXELS = 3 * 32 * 32


def read_batch(path: str | Path, labels: str = "labels") -> tuple[Tensor, Tensor]:
    """The images `(N, 3, 32, 32)`, uint8, and the labels `(N,)`, int64, of one batch file.

    Args:
        path: the file.
        labels: the labels' key: `"labels"`, or for CIFAR-100 `"fine_labels"` or `"coarse_labels"`.

    Raises:
        ValueError: the file is not such a batch; see also `load_pickle`.
    """
    batch = load_pickle(path)
    if not isinstance(batch, dict) or not {"data", labels} <= batch.keys():
        found = sorted(map(str, batch)) if isinstance(batch, dict) else type(batch).__name__
        raise ValueError(f"{path}: found {found}, expected a dict with 'data' and {labels!r}")
    images, classes = batch["data"], batch[labels]
    if not isinstance(images, np.ndarray) or images.ndim != 2 or images.shape[1] != PIXELS:
        found = getattr(images, "shape", type(images).__name__)
        raise ValueError(f"{path}: found 'data' of shape {found}, expected (N, {PIXELS})")
    if not isinstance(classes, list) or not all(type(label) is int for label in classes):
        raise ValueError(f"{path}: found {labels!r} that are not a list of integers")
    if len(classes) != len(images):
        raise ValueError(f"{path}: found {len(images)} images and {len(classes)} labels")
    # The array is a view of the file's bytes, which are read-only.
    with reading(path, "labels from 0 on"):
        return torch.from_numpy(images.copy()).reshape(-1, 3, 32, 32), torch.tensor(classes)
