from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from PIL import Image

from neurodyn.data import ImageNet
from neurodyn.data.photographs import Photographs
from neurodyn.data.samples import Batch
from tests.data.files import find_real
from tests.data.test_base import fit


def write_tree(root: Path, kinds: int = 3, number: int = 8) -> str:
    for part in ("train", "val"):
        for kind in range(kinds):
            folder = root / "imagenet" / part / f"n{kind:08}"
            folder.mkdir(parents=True)
            for index in range(number):
                rng = np.random.default_rng([kind, index])
                coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
                photograph = coarse.resize((60 + 10 * index, 90), Image.Resampling.BICUBIC)
                photograph.save(folder / f"{index}.JPEG", quality=90)
    return str(root)


def tree(root: Path, **options: Any) -> ImageNet:
    small: dict[str, Any] = {"classes": 3, "size": 16, "workers": 0, "validation": 6}
    return ImageNet(str(root), **{**small, "batch_size": 6, **options})


def test_batches(tmp_path: Path) -> None:
    write_tree(tmp_path)
    data = tree(tmp_path)
    model = fit(data)
    images, _ = model.seen["train"][0]
    assert images.shape == (6, 3, 16, 16)
    assert images.dtype == torch.float32
    assert -2.2 < images.min() < images.max() < 2.7
    assert [len(labels) for _, labels in model.seen["train"]] == [6, 6, 6]
    assert torch.cat([labels for _, labels in model.seen["val"]]).bincount().tolist() == [2, 2, 2]
    assert data._training.values.smallest == 0.08
    assert data._validation.values.smallest is None, "not cropped at random"
    data.setup("test")
    assert data._test.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8


def seen(root: Path, **options: Any) -> list[Batch]:
    return fit(tree(root, **options), max_epochs=2).seen["train"]


def equal(first: list[Batch], second: list[Batch]) -> bool:
    return all(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True))


def test_crops_depend_on_seed_epoch_and_image_alone(tmp_path: Path) -> None:
    write_tree(tmp_path)
    once = seen(tmp_path)
    assert equal(once, seen(tmp_path, workers=2))
    assert not equal(once[:3], once[3:])
    values = Photographs(tmp_path / "imagenet" / "train", ["n00000001/3.JPEG"], 16, 0.08)
    row = torch.tensor(0)
    first = values[row]
    values.set_epoch(1)
    assert not torch.equal(values[row], first)
    values.set_epoch(0)
    assert torch.equal(values[row], first)
    lightning.seed_everything(1, verbose=False)
    assert not torch.equal(values[row], first)


def test_an_epoch_is_taken_up_within(tmp_path: Path) -> None:
    write_tree(tmp_path)
    data = tree(tmp_path)
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    whole = list(loader)
    assert data._training.values.epoch == 3, "the crops are this epoch's"
    state = {"epoch": 3, "batches": 2}
    resumed = tree(tmp_path)
    resumed.setup("fit")
    loader = resumed.train_dataloader()
    loader.sampler.set_epoch(3)
    loader.load_state_dict(state)
    ((images, labels),) = list(loader)
    assert torch.equal(images, whole[2][0])
    assert torch.equal(labels, whole[2][1])


def test_test_images_are_the_middle_square(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    # Brightness says which column it was.
    ramp = np.repeat(np.arange(160, dtype=np.uint8)[None], 64, 0)
    Image.fromarray(ramp).save(folder / "grey.jpeg", quality=100)
    image = Photographs(tmp_path, ["a/grey.jpeg"], 56)[torch.tensor([0])][0]
    assert image.shape == (3, 56, 56)
    columns = image[0].float().mean(0)
    # The middle 7/8 of 64 columns of 160: 52 to 108.
    torch.testing.assert_close(columns, torch.arange(52.0, 108.0), atol=1.5, rtol=0)


def test_random_crops_have_the_shares_that_are_asked_for() -> None:
    values = Photographs(Path(), [], 16, 0.25)
    boxes = np.array([values._box(200, 150, row) for row in range(2000)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 200
    assert boxes[:, 3].max() <= 150
    share, ratio = width * height / 30_000, width / height
    assert 0.249 < share.min() < 0.26
    assert 0.9 < share.max() <= 1
    assert 0.75 <= ratio.min() + 1e-9 < 0.77
    assert 1.3 < ratio.max() <= 4 / 3 + 1e-9


def test_large_photographs_are_decoded_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    photograph = coarse.resize((800, 640), Image.Resampling.BICUBIC)
    photograph.save(tmp_path / "a.jpg", quality=95)
    image = Photographs(tmp_path, ["a.jpg"], 32)[torch.tensor([0])][0]
    middle = photograph.resize((32, 32), Image.Resampling.BILINEAR, (120, 40, 680, 600))
    exact = torch.from_numpy(np.asarray(middle).copy()).permute(2, 0, 1)
    assert (image.float() - exact.float()).abs().mean() < 2


def test_missing_and_broken_trees(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ImageNet: looked for .*/train .* val/<wnid>"):
        tree(tmp_path).setup("fit")
    write_tree(tmp_path, number=3)
    with pytest.raises(ValueError, match=r"train: found 3 folders, expected one for each of 1000"):
        ImageNet(str(tmp_path)).setup("fit")
    path = tmp_path / "imagenet" / "train" / "n00000001" / "1.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    data = tree(tmp_path, validation=0)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"1\.JPEG: .*expected a complete photograph"):
        data._training.values[torch.arange(9)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smallest": 0}, "smallest: expected a share above 0 and up to 1, got 0"),
        ({"workers": -1}, "workers: expected at least 0, got -1"),
        ({"on_device": True}, "on_device: ImageNet is read from its files"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageNet(**options)


@pytest.mark.parametrize(
    ("folder", "classes", "number"),
    [("tiny-imagenet-20", 20, 1000), ("imagenet_fullsize_samples", 12, 12)],
)
def test_real_trees(folder: str, classes: int, number: int) -> None:
    root = find_real(f"{folder}/train")
    data = ImageNet(str(root), classes, folder=folder, size=64, validation=0)
    data.setup("fit")
    assert len(data._training) == number
    assert data._training.labels.bincount().tolist() == [number // classes] * classes
    assert data._training[0][0].shape == (3, 64, 64)
