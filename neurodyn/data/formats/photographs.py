"""Photographs in files, cropped and decoded to squares."""

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


def read_photograph(
    path: Path, size: int, crop: Callable[[int, int], Box] = middle
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A part of a photograph, stretched to a square `(3, size, size)`, uint8.

    Args:
        path: the file.
        size: side in pixels.
        crop: the part to read, from the photograph's width and height.

    Raises:
        ValueError: the file does not hold a complete image.
    """
    image_module = require("PIL.Image", "train")
    # Pillow raises almost anything for a broken file.
    with reading(path, "a complete photograph"):
        with image_module.open(path) as image:
            width, height = image.size
            left, top, right, bottom = crop(width, height)
            # JPEG can be decoded at a half, a quarter or an eighth of its size.
            spare = max(1.0, min(right - left, bottom - top) / size)
            image.draft("RGB", (math.ceil(width / spare), math.ceil(height / spare)))
            across, down = image.size[0] / width, image.size[1] / height
            box = (left * across, top * down, right * across, bottom * down)
            bilinear = image_module.Resampling.BILINEAR
            square = image.convert("RGB").resize((size, size), bilinear, box)
        return np.asarray(square).transpose(2, 0, 1).copy()
