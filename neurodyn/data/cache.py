"""Samples that took work to make, kept on disk as a memory-mapped array."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from neurodyn import __version__
from neurodyn.files import cache_dir, written_aside

BLOCK = 2**24
"""Bytes written at once."""


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
    tensor does not change the file. Where they cannot be written (a full disk, a read-only home),
    the samples stay in memory.

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
    kept = _mapped(path, shape, dtype)
    if kept is None:
        with contextlib.ExitStack() as stack:
            try:
                array = stack.enter_context(_allocated(path, shape, dtype))
            except OSError as error:
                warnings.warn(
                    f"{name}: the samples stay in memory and are made again by the next process, "
                    f"because {path.parent} cannot hold them ({error}). Name another folder with "
                    "NEURODYN_CACHE.",
                    stacklevel=2,
                )
                return torch.from_numpy(_fill(np.empty(shape, dtype), name, samples))
            _fill(array, name, samples).flush()
        kept = np.load(path, mmap_mode="c", allow_pickle=False)
    return torch.from_numpy(kept)


def _mapped(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
    """The array of a file; None if the file is not there, was cut short or holds something else."""
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    # NumPy raises almost anything for a broken file.
    except Exception:
        return None
    right = isinstance(array, np.ndarray) and (array.shape, array.dtype) == (shape, dtype)
    return array if right else None


@contextlib.contextmanager
def _allocated(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Iterator[Any]:
    """A mapped array to fill, which appears at `path` when it is full.

    Its space is taken on the disk first: a mapped page that finds no space kills the process.

    Raises:
        OSError: nothing can be written there, or it does not fit; nothing is left behind.
    """
    with written_aside(path) as aside:
        array = np.lib.format.open_memmap(aside, "w+", np.dtype(dtype), shape)
        with aside.open("r+b") as file:
            size = aside.stat().st_size
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.seek(size - array.nbytes)
                for start in range(0, array.nbytes, BLOCK):
                    file.write(bytes(min(BLOCK, array.nbytes - start)))
        yield array


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
