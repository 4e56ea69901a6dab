from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from neurodyn.data.augment.images import ImageAugment

COLOUR = (3, 32, 32)
FILL = (0.4, 0.5, 0.6)


def images(number: int = 64, shape: tuple[int, int, int] = COLOUR) -> torch.Tensor:
    return torch.rand(number, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "options",
    [
        {"crop": 4},
        {"flip": True},
        {"cutout": 8},
        {"auto_augment": True},
        {"crop": 4, "flip": True, "cutout": 16, "auto_augment": True},
    ],
)
def test_shape_dtype_range_and_seed(options: dict[str, Any]) -> None:
    augment = ImageAugment(**options)
    before = images()
    after = augment(before, 1, FILL)
    assert after.shape == before.shape
    assert after.dtype == before.dtype
    assert after.isfinite().all()
    assert after.min() >= 0
    assert after.max() <= 1
    assert not torch.equal(after, before)
    assert torch.equal(before, images())
    assert torch.equal(after, augment(before, 1, FILL))
    assert not torch.equal(after, augment(before, 2, FILL))


def test_nothing_asked_for_changes_nothing() -> None:
    before = images()
    assert torch.equal(ImageAugment()(before, seed=0), before)


def test_kornia_is_not_imported_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    ImageAugment(cutout=4)
    with pytest.raises(ImportError, match=r"pip install 'neurodyn\[train\]'"):
        ImageAugment(flip=True)


def test_global_random_state_is_left_alone_and_not_used() -> None:
    augment = ImageAugment(crop=4, flip=True, cutout=16, auto_augment=True)
    torch.manual_seed(0)
    first, state = augment(images(), 1, FILL), torch.get_rng_state()
    torch.manual_seed(1)
    second = augment(images(), 1, FILL)
    torch.manual_seed(0)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_crop_shifts_each_image_by_its_own_draw_within_the_padding() -> None:
    # The value of a pixel says where it was.
    where = torch.arange(1, 65, dtype=torch.float32).reshape(1, 1, 8, 8).expand(200, -1, -1, -1)
    after = ImageAugment(crop=2)(where, seed=0)
    shifts = set()
    for image in after[:, 0]:
        row, column = (image > 0).nonzero()[0].tolist()
        old = int(image[row, column]) - 1
        dy, dx = row - old // 8, column - old % 8
        assert abs(dy) <= 2
        assert abs(dx) <= 2
        shifts.add((dy, dx))
        kept = image[max(dy, 0) : 8 + min(dy, 0), max(dx, 0) : 8 + min(dx, 0)]
        source = where[0, 0, max(-dy, 0) : 8 + min(-dy, 0), max(-dx, 0) : 8 + min(-dx, 0)]
        assert torch.equal(kept, source)
        assert (image > 0).sum() == kept.numel()
    assert len(shifts) == 25


def test_flip_mirrors_half_of_the_images() -> None:
    before = images(400, (1, 4, 4))
    after = ImageAugment(flip=True)(before, seed=0)
    mirrored = (after == before.flip(-1)).flatten(1).all(1)
    untouched = (after == before).flatten(1).all(1)
    assert (mirrored ^ untouched).all()
    assert 150 < mirrored.sum() < 250


def test_cutout_blanks_a_square_with_the_mean() -> None:
    before = images(500, COLOUR)
    after = ImageAugment(cutout=16)(before, 0, FILL)
    blank = (after == torch.tensor(FILL).reshape(3, 1, 1)).all(1)
    assert torch.equal(after, torch.where(blank[:, None], after, before))
    rows, columns = blank.any(2), blank.any(1)
    assert (blank == rows[:, :, None] & columns[:, None, :]).all()
    # Cut off at the border it is at least half a side, and whole in half of the cases.
    assert rows.sum(1).min() == 8
    assert rows.sum(1).max() == 16
    assert 0.45 < (rows.sum(1) == 16).float().mean() < 0.62


def test_auto_augment_draws_a_policy_for_each_image() -> None:
    one = images(1).expand(64, -1, -1, -1)
    after = ImageAugment(auto_augment=True)(one, seed=0)
    assert len({tuple(image.flatten()[:200].tolist()) for image in after}) > 20
