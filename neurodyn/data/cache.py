"""Samples that took work to make, kept on disk as a memory-mapped array."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from neurodyn import __version__
from neurodyn.files import cache_dir, written_aside


def cached(
    name: str,
    settings: Mapping[str, Any],
    files: Sequence[Path],
    shape: tuple[int, ...],
    samples: Iterable[np.ndarray[Any, Any]],
    dtype: type[np.generic] = np.uint8,
) -> Tensor:
    """The samples as one tensor: read from the cache if an earlier call made them, else made now.

    The file lies below `samples` in the cache folder (`NEURODYN_CACHE`) and may be deleted at any
    time. Its name is the hash of everything that its content depends on, and it appears complete or
    not at all. It is mapped into memory, so only the samples asked for are read, and writing to the
    tensor does not change the file. Where nothing can be written, the samples stay in memory.

    Args:
        name: for the file's name and the progress bar.
        settings: the settings that the samples were made with; anything that JSON can say.
        files: the files that they were made from. If the size or date of one changes, the samples
            are made again.
        shape: `(N, *sample)`.
        samples: makes them one after the other; not used if they are in the cache.
        dtype: the type of the kept numbers.

    Raises:
        ValueError: a sample has another shape, or there are more or fewer of them.
    """
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = json.dumps([__version__, shape, np.dtype(dtype).name, dict(settings), stamps])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache_dir() / "samples" / f"{name}-{digest}.npy"
    if not path.is_file():
        with contextlib.ExitStack() as stack:
            try:
                aside = stack.enter_context(written_aside(path))
            except OSError:
                return torch.from_numpy(_fill(np.empty(shape, dtype), name, samples))
            array = np.lib.format.open_memmap(aside, "w+", np.dtype(dtype), shape)
            _fill(array, name, samples).flush()
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
