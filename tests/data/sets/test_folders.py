from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neurodyn.data import MNIST, Digits, ImageAugment, ImageFolder
from neurodyn.data.sets import folders
from tests.data.files import find_real, write_mnist
from tests.data.sets.test_arrays import first, saved
from tests.data.test_base import fit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))


def draw(path: Path, size=(12, 12), mode="RGB", seed=0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0], 3) if mode in ("RGB", "P") else (size[1], size[0])
    image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
    image.convert(mode).save(path)


def tree(root: Path, parts=("",), suffixes=(".png",), number=10, **options) -> str:
    for part in parts:
        for kind in ("cat", "dog", "owl"):
            for index in range(number):
                suffix = suffixes[index % len(suffixes)]
                draw(root / part / kind / f"{index}{suffix}", seed=index, **options)
    return str(root)


def test_a_flat_tree_of_every_format(tmp_path):
    suffixes = (".png", ".jpg", ".bmp", ".gif", ".webp", ".tiff", ".ppm")
    data = ImageFolder(tree(tmp_path / "a", suffixes=suffixes), batch_size=6)
    images, _labels = first(data)
    assert images.shape == (6, 3, 12, 12)
    assert images.dtype == torch.float32
    assert data.targets.names == ("cat", "dog", "owl")
    assert data._test.labels.bincount().tolist() == [2, 2, 2]
    assert (len(data._training), len(data._validation)) == (22, 2)
    assert isinstance(data._training.values, torch.Tensor), "kept, and not read again"
    mean = data._training.values[torch.cat([data._training.rows, data._validation.rows])]
    torch.testing.assert_close(
        torch.tensor(data.mean), mean.float().mean((0, 2, 3)) / 255, atol=1e-5, rtol=1e-5
    )


def test_grey_is_found_out(tmp_path):
    grey = ImageFolder(tree(tmp_path / "a", mode="L"))
    assert grey.shape == (1, 12, 12)
    draw(tmp_path / "a" / "owl" / "colour.png")
    assert ImageFolder(str(tmp_path / "a")).shape == (3, 12, 12)
    assert ImageFolder(str(tmp_path / "a"), channels=1).shape == (1, 12, 12)


def test_sixteen_bits(tmp_path):
    for kind in "ab":
        for index in range(5):
            path = tmp_path / "a" / kind / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)
    data = ImageFolder(str(tmp_path / "a"))
    data.setup()
    assert (data._training.values == 40_000 >> 8).all()


@pytest.mark.parametrize(
    ("drawn", "given", "size"),
    [
        ((20, 10), None, (10, 20)),
        ((80, 80), None, (64, 64)),
        ((80, 70), 32, (32, 32)),
        ((80, 70), (8, 16), (8, 16)),
    ],
)
def test_sizes(drawn, given, size, tmp_path, capsys):
    folders.tell.cache_clear()
    data = ImageFolder(tree(tmp_path / "a", size=drawn, number=3), size=given)
    assert data.shape[1:] == size
    lines = capsys.readouterr().err
    told = "shown at 64x64" in lines
    assert "9 images of 3 classes, read as colour" in lines
    assert told == (drawn == (80, 80))


def test_images_that_differ_in_size(tmp_path):
    path = tree(tmp_path / "a", number=3)
    draw(tmp_path / "a" / "cat" / "wide.png", size=(40, 20))
    data = ImageFolder(path, size=10)
    data.setup()
    wide = data.read_files([tmp_path / "a" / "cat" / "wide.png"]).values[torch.tensor([0])]
    image = Image.open(tmp_path / "a" / "cat" / "wide.png")
    exact = image.resize((10, 10), Image.Resampling.BILINEAR, (10, 0, 30, 20))
    assert torch.equal(wide[0], torch.from_numpy(np.array(exact)).permute(2, 0, 1))


def test_parts_of_a_tree(tmp_path):
    data = ImageFolder(tree(tmp_path / "a", ("train", "val", "test"), number=4))
    data.setup()
    assert (len(data._training), len(data._validation), len(data._test)) == (12, 12, 12)
    two = ImageFolder(tree(tmp_path / "b", ("train", "val"), number=4), validation=3)
    two.setup()
    assert (len(two._training), len(two._validation), len(two._test)) == (9, 3, 12)


def test_large_trees_are_read_by_workers(tmp_path, monkeypatch):
    path = tree(tmp_path / "a", size=(40, 30))
    kept, _ = first(ImageFolder(path, size=16, batch_size=6))
    monkeypatch.setattr(folders, "KEPT", 1000)
    read = ImageFolder(path, size=16, batch_size=6, workers=2)
    images, _ = first(read)
    torch.testing.assert_close(images, kept, atol=0.05, rtol=0.05)
    assert read.workers == 2
    with pytest.raises(ValueError, match="on_device: the images are read from their files"):
        ImageFolder(path, size=16, on_device=True).setup()


def test_random_crops_are_for_training_alone(tmp_path):
    data = ImageFolder(tree(tmp_path / "a"), smallest=0.3, workers=0, size=8)
    data.setup()
    shares = [part.values.smallest for part in (data._training, data._validation, data._test)]
    assert shares == [0.3, None, None]
    seen = fit(data, max_epochs=2).seen["train"]
    assert not torch.equal(seen[0][0].sort(0).values, seen[1][0].sort(0).values)


def test_augmentation_is_checked_when_the_size_is_known(tmp_path):
    path = tree(tmp_path / "a")
    fit(ImageFolder(path, augment=ImageAugment(crop=1, flip=True)))
    with pytest.raises(ValueError, match="crop: expected a number from 0 to 11"):
        ImageFolder(path, augment=ImageAugment(crop=12)).setup()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size: expected at least 1, got 0"),
        ({"channels": 4}, r"channels: expected 1 \(grey\) or 3 \(colour\), got 4"),
        ({"smallest": 2}, "smallest: expected a share above 0 and up to 1"),
        ({"workers": -1}, "workers: expected at least 0"),
        ({"test": 1.5}, "test: expected a share"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ImageFolder("nowhere", **options)


def test_broken_images(tmp_path):
    path = Path(tree(tmp_path / "a"))
    (path / "cat" / "3.png").write_bytes((path / "cat" / "3.png").read_bytes()[:60])
    with pytest.raises(
        ValueError, match=r"cat/3\.png: .*expected (an image|a complete photograph)"
    ):
        ImageFolder(str(path)).setup()


def test_a_state_is_enough_for_new_images(tmp_path):
    path = Path(tree(tmp_path / "a", size=(20, 20)))
    data = ImageFolder(str(path), size=10)
    state = saved(data)
    expected = data.as_input(data.read_files([path / "dog" / "1.png"]).values[torch.arange(1)])
    (path / "dog" / "1.png").rename(tmp_path / "new.png")
    for file in path.rglob("*.png"):
        file.unlink()
    bare = ImageFolder(str(path), size=10)
    bare.load_state_dict(state)
    assert (bare.shape, bare.outputs, bare.targets) == (data.shape, 3, data.targets)
    files = bare.read_files([str(tmp_path / "new.png")])
    assert files.names == [str(tmp_path / "new.png")]
    assert torch.equal(bare.as_input(files.values[torch.arange(1)]), expected)


def test_published_sets_take_image_files_too(tmp_path):
    draw(tmp_path / "new.jpg", size=(50, 40))
    digits = Digits()
    values = digits.read_files([tmp_path / "new.jpg"]).values[torch.tensor([0, 0])]
    assert values.shape == (2, 1, 8, 8)
    assert values.max() <= 16
    assert digits.as_input(values).shape == (2, 1, 8, 8)
    mnist = MNIST(str(write_mnist(tmp_path)))
    assert mnist.read_files([tmp_path / "new.jpg"]).values[torch.tensor(0)].shape == (1, 28, 28)
    assert mnist.fingerprint().startswith("sha256-content:")
    assert digits.fingerprint() is None


def test_fingerprints(tmp_path):
    path = Path(tree(tmp_path / "a", number=3))
    one = ImageFolder(str(path)).fingerprint()
    (path / "cat" / "0.png").rename(path / "dog" / "9.png")
    assert ImageFolder(str(path)).fingerprint() != one
    (path / "dog" / "9.png").rename(path / "cat" / "0.png")
    assert ImageFolder(str(path)).fingerprint() == one


def test_real_photographs():
    root = find_real("tiny-imagenet-20/train")
    data = ImageFolder(str(root / "tiny-imagenet-20"))
    data.setup()
    assert (data.shape, data.outputs) == ((3, 64, 64), 20)
    assert data._test.labels.bincount().tolist() == [10] * 20
