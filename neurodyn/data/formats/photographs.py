"""Photographs in files, decoded when they are asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.data.loader import global_seed, mix
from neurodyn.errors import require

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


class Photographs:
    """Files as a tensor `(N, 3, size, size)`, uint8, of which only what is asked for is read.

    A training photograph is cropped at random: a share of its area from `smallest` to 1, an aspect
    ratio from 3/4 to 4/3, uniform in its logarithm, and then stretched to a square (Szegedy et al.
    2015). The draw follows from the global seed, the epoch and the photograph's number, and not
    from the process that makes it. Else, or where ten draws did not fit, it is the middle square of
    7/8 of the shorter side.

    Args:
        folder: where the files lie.
        names: their paths below it.
        size: side in pixels.
        smallest: least share of the area; None for no random crop.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], size: int, smallest: float | None = None
    ) -> None:
        # An array: a million Python strings are copied by every worker that only looks at them.
        self.names = np.array([os.fsencode(name) for name in names])
        self.folder, self.size, self.smallest = folder, size, smallest
        self.shape, self.dtype = (len(names), 3, size, size), torch.uint8
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw other crops than in the epoch before."""
        self.epoch = epoch

    def plain(self) -> Photographs:
        """The same without random crops."""
        other = Photographs(self.folder, [], self.size)
        other.names, other.shape = self.names, self.shape
        return other

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Tensor) -> Tensor:
        if rows.ndim == 0:
            return torch.from_numpy(self._decode(int(rows)))
        return torch.from_numpy(np.stack([self._decode(row) for row in rows.tolist()]))

    def _decode(self, row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        image_module = require("PIL.Image", "train")
        path = self.folder / os.fsdecode(self.names[row])
        try:
            with image_module.open(path) as image:
                width, height = image.size
                left, top, right, bottom = self._box(width, height, row)
                # JPEG can be decoded at a half, a quarter or an eighth of its size.
                spare = max(1.0, min(right - left, bottom - top) / self.size)
                image.draft("RGB", (math.ceil(width / spare), math.ceil(height / spare)))
                across, down = image.size[0] / width, image.size[1] / height
                box = (left * across, top * down, right * across, bottom * down)
                bilinear = image_module.Resampling.BILINEAR
                square = image.convert("RGB").resize((self.size, self.size), bilinear, box)
        # Pillow raises almost anything for a broken file.
        except Exception as error:
            raise ValueError(f"{path}: no complete image ({error})") from error
        return np.asarray(square).transpose(2, 0, 1).copy()

    def _box(self, width: int, height: int, row: int) -> Box:
        if self.smallest is not None:
            draws = np.random.default_rng(mix(global_seed(), self.epoch, row))
            for _ in range(10):
                area = width * height * draws.uniform(self.smallest, 1)
                ratio = math.exp(draws.uniform(math.log(3 / 4), math.log(4 / 3)))
                w, h = math.sqrt(area * ratio), math.sqrt(area / ratio)
                if w <= width and h <= height:
                    left, top = draws.uniform(0, width - w), draws.uniform(0, height - h)
                    return left, top, left + w, top + h
        side = 7 / 8 * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side
