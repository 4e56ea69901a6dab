"""Samples that took work to make, kept on disk as a memory-mapped array."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from neurodyn import __version__
from neurodyn.files import cache_dir


def cached(
    name: str,
    settings: Mapping[str, Any],
    files: Sequence[Path],
    shape: tuple[int, ...],
    samples: Iterable[np.ndarray[Any, Any]],
    dtype: type[np.generic] = np.uint8,
) -> Tensor:
    """The samples as one tensor, made now or read from where an earlier call has put them.

    A file is named by the hash of everything its content depends on, appears complete or not at
    all, and is mapped into memory: only what is asked for is read, and writing to the tensor does
    not change the file. It lies below `samples` in the cache folder (`NEURODYN_CACHE`) and may be
    deleted at any time. Where nothing can be written the samples stay in memory.

    Args:
        name: what they are, for the file's name and the progress bar.
        settings: what they were made with; anything that JSON can say.
        files: what they were made of: another size or date makes them anew.
        shape: `(N, *sample)`.
        samples: makes them one after the other; not looked at if they are there.
        dtype: in what they are kept.

    Raises:
        ValueError: a sample has another shape, or there are more or fewer of them.
    """
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = json.dumps([__version__, shape, np.dtype(dtype).name, dict(settings), stamps])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache_dir() / "samples" / f"{name}-{digest}.npy"
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent)
        except OSError:
            return torch.from_numpy(_fill(np.empty(shape, dtype), name, samples))
        # On the same file system, so that moving the file into its place is atomic.
        with folder as aside:
            draft = Path(aside) / path.name
            array = np.lib.format.open_memmap(draft, "w+", np.dtype(dtype), shape)
            _fill(array, name, samples).flush()
            os.replace(draft, path)
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


def _fill(array: Any, name: str, samples: Iterable[np.ndarray[Any, Any]]) -> Any:
    made = 0
    bar = tqdm(samples, name, len(array), leave=False, disable=None)
    for made, sample in enumerate(bar, start=1):
        if made > len(array) or sample.shape != array.shape[1:]:
            raise ValueError(
                f"{name}: found sample {made} of shape {sample.shape}, "
                f"expected {len(array)} of {array.shape[1:]}"
            )
        array[made - 1] = sample
    if made < len(array):
        raise ValueError(f"{name}: found {made} samples, expected {len(array)}")
    return array
