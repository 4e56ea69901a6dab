from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.data import CIFAR10
from neurodyn.data.augment.autoaugment import CIFAR10 as POLICY
from neurodyn.data.augment.autoaugment import AutoAugment
from tests.data.files import find_real

pytest.importorskip("PIL")
from PIL import Image, ImageEnhance, ImageOps

BLENDS = ("Brightness", "Color", "Contrast", "Sharpness")
SIGNED = (*BLENDS, "Rotate", "ShearY", "TranslateX", "TranslateY")
USED = sorted({(name, m) for pair in POLICY for name, _, m in pair})


def photographs(number: int = 8) -> Tensor:
    """Something with broad and fine structure, uint8, `(B, 3, 32, 32)`."""
    draws = torch.Generator().manual_seed(0)
    broad = torch.rand(number, 3, 5, 5, generator=draws)
    fine = 0.2 * torch.rand(number, 3, 32, 32, generator=draws)
    bright = F.interpolate(broad, (32, 32), mode="bilinear") * 0.8 + fine
    return (bright.clamp(0.03, 0.98) * 255).to(torch.uint8)


def pil(name: str, image: Image.Image, m: float) -> Image.Image:
    """The operation at a signed magnitude of 0 to 9, by PIL."""
    grey, part = (128, 128, 128), m / 9
    affine = {
        "ShearY": (1, 0, 0, 0.3 * part, 1, 0),
        "TranslateX": (1, 0, 150 / 331 * 32 * part, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, 150 / 331 * 32 * part),
    }
    if name in affine:
        kind = Image.Transform.AFFINE
        return image.transform(image.size, kind, affine[name], fillcolor=grey)
    if name == "Rotate":
        return image.rotate(30 * part, fillcolor=grey)
    if name in BLENDS:
        return getattr(ImageEnhance, name)(image).enhance(1 + 0.9 * part)
    if name == "Posterize":
        return ImageOps.posterize(image, round(8 - 4 * abs(part)))
    if name == "Solarize":
        return ImageOps.solarize(image, 256 - 256 * abs(part))
    return getattr(ImageOps, name.lower())(image)


def by_pil(name: str, images: Tensor, m: float) -> Tensor:
    varied = [
        np.array(pil(name, Image.fromarray(image.permute(1, 2, 0).numpy()), m)) for image in images
    ]
    return torch.from_numpy(np.stack(varied)).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("name", "m"), USED)
def test_each_operation_does_what_pil_does(name: str, m: int, sign: int) -> None:
    images = photographs()
    varied = AutoAugment().operations[name](images.float() / 255, torch.full((8,), sign * m / 9))
    difference = (255 * varied - by_pil(name, images, sign * m)).abs()
    # PIL cuts to whole bytes what it blends or stretches, on the way too.
    rounds = name in BLENDS or name == "AutoContrast"
    assert difference.max() < (1.5 if rounds else 1e-3)
    assert difference.mean() < 0.6


def test_the_policy_of_the_paper() -> None:
    assert len(POLICY) == 25
    # Kornia's table is an independent copy of the paper's; it leaves out what has no meaning.
    table = pytest.importorskip("kornia.augmentation.auto.autoaugment.autoaugment").cifar10_policy
    for pair, other in zip(POLICY, table, strict=True):
        for (name, probability, m), (kind, share, level) in zip(pair, other, strict=True):
            assert name.lower() == kind.replace("_", "")
            assert probability == share
            assert level in (m, None)


def test_operations_happen_as_often_as_the_policy_says_and_with_both_signs() -> None:
    augment, number = AutoAugment(), 20_000
    seen: dict[str, list[Tensor]] = {name: [] for name in augment.operations}

    def watched(name: str):  # type: ignore[no-untyped-def]
        def operation(images: Tensor, magnitudes: Tensor) -> Tensor:
            seen[name].append(magnitudes)
            return images

        return operation

    augment.operations = {name: watched(name) for name in augment.operations}
    torch.manual_seed(0)
    augment(torch.zeros(number, 1, 1, 1))
    for name in set(seen) - {"Identity"}:
        magnitudes = torch.cat(seen[name])
        expected = number / 25 * sum(p for pair in POLICY for n, p, _ in pair if n == name)
        assert abs(len(magnitudes) - expected) < 4 * expected**0.5
        levels = {m for pair in POLICY for n, p, m in pair if n == name and p > 0}
        assert set((9 * magnitudes.abs()).round().int().tolist()) == levels
        if name in SIGNED:
            up = (magnitudes[magnitudes != 0] > 0).float().mean()
            assert abs(up - 0.5) < 2 / len(magnitudes) ** 0.5


def test_operations_follow_each_other_on_the_image_that_drew_them() -> None:
    pair = (("Invert", 1.0, 0), ("Equalize", 1.0, 0))
    images = photographs()
    varied = AutoAugment((pair,))(images.float() / 255) * 255
    expected = by_pil("Equalize", 255 - images, 0)
    torch.testing.assert_close(varied, expected, atol=1e-3, rtol=0)

    augment, images = AutoAugment(), photographs(64).float() / 255
    torch.manual_seed(1)
    one = augment(images)
    images[5] = 0.5
    torch.manual_seed(1)
    other = augment(images)
    changed = (one != other).flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == [5]


def test_a_single_colour_stays() -> None:
    grey = torch.full((1, 3, 8, 8), 0.25)
    for name in ("AutoContrast", "Equalize"):
        varied = AutoAugment().operations[name](grey, torch.zeros(1))
        torch.testing.assert_close(varied, grey)


def test_real_images_get_neither_brighter_nor_darker() -> None:
    root = find_real("cifar-10-batches-py/test_batch")
    images = CIFAR10(str(root)).read(train=False)[0][:2000]
    torch.manual_seed(0)
    for number in (6, 7, 13):
        varied = AutoAugment(POLICY[number : number + 1])(images.float() / 255)
        assert varied.mean() == pytest.approx(images.float().mean().item() / 255, abs=0.08)
        assert (varied.mean((1, 2, 3)) > 0.95).float().mean() < 0.03
