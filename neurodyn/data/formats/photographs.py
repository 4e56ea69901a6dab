"""Images in files, cropped and stretched to one size."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.data.formats.reading import reading
from neurodyn.errors import require

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


def middle(width: int, height: int) -> Box:
    """The square in the middle, its side 7/8 of the shorter side."""
    side = 7 / 8 * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def square(width: int, height: int) -> Box:
    """The largest square in the middle."""
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def everything(width: int, height: int) -> Box:
    """The whole image."""
    return 0, 0, width, height


def read_photograph(
    path: Path,
    size: int | tuple[int, int],
    crop: Callable[[int, int], Box] = middle,
    channels: int = 3,
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A part of an image, stretched to `(channels, height, width)`, uint8.

    Args:
        path: the file, in any format that Pillow reads.
        size: side in pixels, or height and width.
        crop: the part to read, from the image's width and height.
        channels: 3 for colour, 1 for grey.

    Raises:
        ValueError: the file does not hold a complete image.
    """
    image_module = require("PIL.Image", "train")
    rows, columns = (size, size) if isinstance(size, int) else size
    mode = "RGB" if channels == 3 else "L"
    # Pillow raises almost anything for a broken file.
    with reading(path, "a complete photograph"):
        with image_module.open(path) as image:
            width, height = image.size
            left, top, right, bottom = crop(width, height)
            # JPEG can be decoded at a half, a quarter or an eighth of its size.
            spare = max(1.0, min((right - left) / columns, (bottom - top) / rows))
            image.draft(mode, (math.ceil(width / spare), math.ceil(height / spare)))
            across, down = image.size[0] / width, image.size[1] / height
            box = (left * across, top * down, right * across, bottom * down)
            if image.mode.startswith("I"):  # Pillow would cut 16 bits off at 255.
                image = image_module.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            bilinear = image_module.Resampling.BILINEAR
            whole = np.asarray(image.convert(mode).resize((columns, rows), bilinear, box))
        return whole.reshape(rows, columns, channels).transpose(2, 0, 1).copy()


def image_header(path: Path) -> tuple[tuple[int, int], int]:
    """The height and width of an image, and its channels: 1 for grey, else 3."""
    image_module = require("PIL.Image", "train")
    with reading(path, "an image"), image_module.open(path) as image:
        width, height = image.size
        return (height, width), 1 if image.mode in ("1", "L", "LA") or image.mode[0] in "IF" else 3


def image_suffixes() -> set[str]:
    """The suffixes of the formats that Pillow reads."""
    image_module = require("PIL.Image", "train")
    known = image_module.registered_extensions()
    return {suffix for suffix, kind in known.items() if kind in image_module.OPEN} - NO_IMAGES


NO_IMAGES = {".h5", ".hdf", ".mpg", ".mpeg", ".pdf", ".ps", ".eps", ".bufr", ".grib"}
"""Suffixes that Pillow knows and that are not of images here."""
