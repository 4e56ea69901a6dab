"""AutoAugment's policy for CIFAR-10 (Cubuk et al. 2019); every image has its own draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neurodyn.errors import require

Operation = Callable[[Tensor, Tensor], Tensor]
SubPolicy = tuple[tuple[str, float, int], ...]

LEVELS = 9
GREY = 128 / 255

CIFAR10: tuple[SubPolicy, ...] = (
    (("Invert", 0.1, 7), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 8), ("Equalize", 0.9, 2)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 5), ("Equalize", 0.5, 1)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 7), ("AutoContrast", 0.4, 8)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 3)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 8), ("Equalize", 0.6, 4)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 6)),
    (("AutoContrast", 0.8, 4), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 3)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 2), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 8), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 1)),
)
"""The paper's sub-policies: two operations, each with its probability and magnitude (0 to 9)."""


class AutoAugment:
    """Applies one sub-policy to each image, each of its operations with its probability.

    The operations are those of PIL. As there, each result is cut to whole bytes. At magnitude m:

    | operation | effect |
    |---|---|
    | Rotate | turned by 30 m/9 degrees |
    | ShearY | rows sheared by .3 m/9 of the column |
    | TranslateX, TranslateY | shifted by 150/331 m/9 of the side |
    | Brightness, Color | 1 + .9 m/9 times as far from black, from grey |
    | Contrast, Sharpness | 1 + .9 m/9 times as far from the mean grey, from the blurred image |
    | Posterize | keeps the first round(8 - 4 m/9) bits |
    | Solarize | bytes from 256 (1 - m/9) up are inverted |
    | AutoContrast, Equalize, Invert | does not depend on m |

    Turns, shears, shifts and the .9 of the next two have either sign with probability 1/2. The
    paper says little about how pixels move. As in the public implementations, the nearest pixel is
    taken, and grey (128) where that lies outside the image.

    Kornia's own AutoAugment is another policy: it adds brightness, and only upward; its shifts,
    turns and shears have one sign; and it draws one sub-policy for a whole batch.

    Draws come from PyTorch's global CPU generator; every image takes equally many.

    Args:
        policy: the sub-policies, of two operations each.
    """

    def __init__(self, policy: tuple[SubPolicy, ...] = CIFAR10) -> None:
        kornia: Any = require("kornia.enhance", "train")
        self.operations: dict[str, Operation] = {
            "Identity": lambda images, _: images,
            "Rotate": lambda images, m: _rotate(images, m * math.radians(30)),
            "ShearY": lambda images, m: _warp(images, (1, 0, 0), (0.3 * m, 1, 0)),
            "TranslateX": lambda images, m: _warp(
                images, (1, 0, m * 150 / 331 * images.shape[-1]), (0, 1, 0)
            ),
            "TranslateY": lambda images, m: _warp(
                images, (1, 0, 0), (0, 1, m * 150 / 331 * images.shape[-2])
            ),
            "Brightness": _brightness,
            "Color": lambda images, m: kornia.adjust_saturation_with_gray_subtraction(
                images, 1 + 0.9 * m
            ),
            "Contrast": lambda images, m: kornia.adjust_contrast_with_mean_subtraction(
                images, 1 + 0.9 * m
            ),
            "Sharpness": lambda images, m: kornia.sharpness(images, 1 + 0.9 * m),
            "Posterize": lambda images, m: kornia.posterize(images, (8 - 4 * m.abs()).round()),
            "Solarize": lambda images, m: kornia.solarize(images, (1 - m.abs()) * 256 / 255),
            "AutoContrast": lambda images, _: _auto_contrast(images),
            "Equalize": lambda images, _: kornia.equalize(images),
            "Invert": lambda images, _: 1 - images,
        }
        codes = {name: code for code, name in enumerate(self.operations)}
        self.codes = torch.tensor([[codes[name] for name, _, _ in pair] for pair in policy])
        self.probabilities = torch.tensor([[p for _, p, _ in pair] for pair in policy])
        self.magnitudes = torch.tensor([[m for _, _, m in pair] for pair in policy]) / LEVELS

    def __call__(self, images: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` of values in [0, 1], varied."""
        number = len(images)
        drawn = torch.randint(len(self.codes), (number,))
        for codes, probabilities, magnitudes in zip(
            self.codes.T, self.probabilities.T, self.magnitudes.T, strict=True
        ):
            happens = torch.rand(number) < probabilities[drawn]
            sign = 2 * torch.randint(2, (number,)) - 1
            images = self._apply(images, codes[drawn] * happens, magnitudes[drawn] * sign)
        return images

    def _apply(self, images: Tensor, codes: Tensor, magnitudes: Tensor) -> Tensor:
        # Sorted, so that each operation runs once, on a slice.
        order = codes.argsort(stable=True)
        counts = codes.bincount(minlength=len(self.operations)).tolist()
        varied = [
            operation(part, magnitude) if len(part) else part
            for operation, part, magnitude in zip(
                self.operations.values(),
                images[order.to(images.device)].split(counts),
                magnitudes[order].to(images).split(counts),
                strict=True,
            )
        ]
        # Whole bytes. A little is added first: 1 - x is often slightly below a whole byte.
        whole = (255 * torch.cat(varied) + 1e-3).floor() / 255
        return whole[order.argsort().to(images.device)]


def _brightness(images: Tensor, magnitudes: Tensor) -> Tensor:
    return (images * (1 + 0.9 * _each(magnitudes))).clamp(max=1)


def _auto_contrast(images: Tensor) -> Tensor:
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    flat = high == low
    return torch.where(flat, images, (images - low) / (high - low + flat.to(images)))


def _rotate(images: Tensor, angle: Tensor) -> Tensor:
    y, x = (side / 2 for side in images.shape[-2:])
    cos, sin = angle.cos(), angle.sin()
    return _warp(images, (cos, -sin, x - cos * x + sin * y), (sin, cos, y - sin * x - cos * y))


Row = tuple[Tensor | float, Tensor | float, Tensor | float]


def _warp(images: Tensor, columns: Row, rows: Row) -> Tensor:
    """The pixel at column x and row y comes from `a x + b y + c` of the two triples, as in PIL."""
    height, width = images.shape[-2:]
    y = torch.arange(height, device=images.device)[:, None] + 0.5
    x = torch.arange(width, device=images.device) + 0.5
    # Sums of products, because a GPU may round a matrix product to ten bits.
    column, row = (
        (_each(a) * x + _each(b) * y + _each(c)).floor().long() for a, b, c in (columns, rows)
    )
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    pixels = (inside * (row * width + column)).flatten(1)[:, None]
    moved = images.flatten(2).gather(2, pixels.expand(*images.shape[:2], -1).flatten(2))
    return torch.where(inside, moved.reshape(images.shape), GREY)


def _each(values: Tensor | float) -> Tensor | float:
    """`(B,)` against images `(B, C, H, W)`."""
    return values.reshape(-1, 1, 1, 1) if isinstance(values, Tensor) else values
