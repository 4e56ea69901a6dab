"""Arrays as samples: which axis is which, types that can be kept, statistics in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurodyn.errors import unknown

Array = np.ndarray[Any, Any]

Layout = Literal["images", "sequences", "rows"]
LayoutName = Literal["auto", "images", "sequences", "rows"]

CHANNELS = (1, 3, 4)
"""Sizes of an axis of colours."""

BLOCK = 2**24
"""Numbers that are looked at together."""

SMALL = (np.uint8, np.int8, np.int16, np.int32)
"""Types that whole numbers are kept in if they fit."""


class Part(NamedTuple):
    """Samples `(N, ...)`, their targets and their numbers of steps, as they come."""

    x: Array
    y: Array | None = None
    lengths: Array | None = None


def as_array(values: Any, name: str) -> Array:
    """A tensor, array or sequence as an array of numbers or text.

    Raises:
        ValueError: it is none.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        if values.dtype == torch.bfloat16:
            values = values.float()
        values = values.numpy()
    try:
        # An array that is mapped from a file stays one.
        found = values if isinstance(values, np.ndarray) else np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}; expected an array, samples of one shape") from error
    if found.dtype.kind == "O" and all(isinstance(value, str) for value in found.flat):
        found = found.astype(str)
    if found.dtype.kind not in "biufUS" or not found.ndim:
        raise ValueError(
            f"{name}: found {found.dtype} of shape {found.shape}, expected an array of numbers"
        )
    return found


def layout_of(x: Array, layout: LayoutName, *, timed: bool, name: str) -> Layout:
    """The layout of samples, guessed from their shape unless it is given.

    | shape | guess |
    |---|---|
    | `(N, F)` | rows of features |
    | `(N, H, W)` with H = W | grey images; sequences if `timed` |
    | `(N, T, F)` | sequences |
    | `(N, C, H, W)`, `(N, H, W, C)` | images; sequences if `timed` |
    | `(N, T, C, H, W)` | sequences of frames |

    Args:
        x: samples.
        layout: overrules the guess.
        timed: whether samples are known to have time.
        name: for the error.
    """
    if layout not in ("auto", "images", "sequences", "rows"):
        raise unknown("layout", layout, ("auto", "images", "sequences", "rows"))
    fits: dict[str, tuple[int, ...]] = {"images": (3, 4), "sequences": (2, 3, 4, 5), "rows": (2,)}
    if layout != "auto":
        if x.ndim not in fits[layout]:
            raise ValueError(f"{name}: found shape {x.shape}, expected {layout} (layout)")
        return layout
    if x.ndim not in (2, 3, 4, 5):
        raise ValueError(
            f"{name}: found shape {x.shape}, expected images (N, C, H, W) or (N, H, W), sequences "
            "(N, T, F), frames (N, T, C, H, W) or rows of features (N, F)"
        )
    if timed or x.ndim == 5:
        return "sequences"
    if x.ndim == 2:
        return "rows"
    return "images" if x.ndim == 4 or x.shape[1] == x.shape[2] else "sequences"


def has_steps(x: Sequence[int], y: Sequence[int]) -> bool:
    """Whether the shapes of samples and targets say that there is a target for each step."""
    if len(x) < 3 or len(y) < 2 or tuple(x[:2]) != tuple(y[:2]):
        return False
    # In (N, 3, H, W) the 3 are colours, and targets (N, 3) belong to whole images.
    return len(x) != 4 or len(y) == 3 or x[1] not in CHANNELS


def sample_first(x: Array, layout: Layout, *, time_first: bool) -> Array:
    """Samples `(N, C, H, W)`, `(N, T, *features)` or `(N, F)`, as a view."""
    if layout == "sequences":
        x = x.swapaxes(0, 1) if time_first else x
        return x[..., None] if x.ndim == 2 else x
    if layout == "images":
        if x.ndim == 3:
            return x[:, None]
        # Small colour images have two axes that could be the colours: then, sides are equal.
        _, first, second, last = x.shape
        if last in CHANNELS and (first not in CHANNELS or first == second != last):
            return np.moveaxis(x, 3, 1)
    return x


def kept(x: Array, lengths: Array | None, name: str) -> Array:
    """Samples in a type that can be kept: looked at once, in blocks.

    Whole numbers are kept in the smallest type that holds them, doubles as floats. An array that is
    mapped from a file stays as it is. Padding that is not finite becomes zero.

    Raises:
        ValueError: a sample is not finite, or has numbers that a network's floats cannot hold.
    """
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{name}: found {x.dtype}, expected numbers")
    if not x.size:
        raise ValueError(f"{name}: found no samples, shape {x.shape}")
    x = x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
    mapped = getattr(x, "_mmap", None) is not None
    if x.dtype.kind == "b":
        return x.view(np.uint8)
    low, high, padded = _span(x, lengths, name)
    if max(-low, high) > (2**24 if x.dtype.kind in "iu" else float(np.finfo(np.float32).max)):
        raise ValueError(
            f"{name}: found numbers from {low:g} to {high:g}, which a network's floats cannot hold"
        )
    if padded:
        assert lengths is not None
        x = x.copy()
        x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
    if x.dtype.kind in "iu":
        fits = [t for t in SMALL if np.iinfo(t).min <= low and high <= np.iinfo(t).max]
        # PyTorch computes little with unsigned numbers of more than a byte.
        keep = mapped and x.dtype in (np.uint8, np.int8, np.int16, np.int32, np.int64)
        x = x if keep else x.astype(fits[0], copy=False)
    elif x.dtype.itemsize > 4 and not mapped:
        x = x.astype(np.float32)
    return np.require(x, requirements=["W"] if min(x.strides) >= 0 else ["W", "C"])


def _span(x: Array, lengths: Array | None, name: str) -> tuple[float, float, bool]:
    """The lowest and highest number, and whether padding is not finite."""
    low, high, padded = np.inf, -np.inf, False
    for start, block in blocks(x):
        if x.dtype.kind == "f" and not (finite := np.isfinite(block)).all():
            bad = ~finite.reshape(*block.shape[: 1 if lengths is None else 2], -1).all(-1)
            if lengths is not None:
                valid = np.arange(x.shape[1]) < lengths[start : start + len(block), None]
                padded, bad = padded or bool((bad & ~valid).any()), (bad & valid).any(1)
            if bad.any():
                row = start + int(bad.argmax())
                hint = "" if x.ndim < 3 else "; if that is padding, give lengths or a mask"
                raise ValueError(f"{name}: found NaN or infinity in sample {row}{hint}")
            block = block[finite]
        if block.size:
            low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high, padded


def blocks(x: Array, rows: Array | None = None) -> Iterator[tuple[int, Array]]:
    """Parts of the samples, or of some rows of them, each with the number of its first."""
    count = max(1, BLOCK // max(1, x[0].size))
    for start in range(0, len(x if rows is None else rows), count):
        stop = start + count
        yield start, x[start:stop] if rows is None else x[rows[start:stop]]


def moments(
    x: Array, rows: Array, axis: int, lengths: Array | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of some rows in each place along an axis, padding left out.

    A place that never varies has the standard deviation 1.
    """
    n, mean, square = 0, np.zeros(x.shape[axis]), np.zeros(x.shape[axis])
    for start, block in blocks(x, rows):
        values = np.moveaxis(block, axis, -1)
        if lengths is not None:
            own = lengths[rows[start : start + len(block)]]
            values = values[np.arange(x.shape[1]) < own[:, None]]
        values = values.reshape(-1, x.shape[axis]).astype(np.float64)
        # Parallel variance (Chan et al. 1983): no difference of large squares.
        shift, more = values.mean(0) - mean, len(values)
        square += ((values - values.mean(0)) ** 2).sum(0) + shift**2 * n * more / (n + more)
        mean += shift * more / (n + more)
        n += more
    std = np.sqrt(square / n)
    return tuple(mean.tolist()), tuple(np.where(std > 0, std, 1).tolist())


def lengths_of_mask(mask: Array, name: str) -> Array:
    """Numbers of steps from a mask `(N, T)` that is true where a step is not padding.

    Raises:
        ValueError: a sample has padding before its end.
    """
    valid = mask.astype(bool)
    lengths = valid.sum(-1)
    if valid.ndim != 2 or (valid != (np.arange(valid.shape[-1]) < lengths[..., None])).any():
        raise ValueError(
            f"{name}: found a mask of shape {mask.shape} with padding in front of steps, expected "
            "(N, T), true and then false"
        )
    return np.asarray(lengths)
