from __future__ import annotations

import gzip
import hashlib
import tarfile
import time
from pathlib import Path

import pytest
import torch

from neurodyn.data import CIFAR10, CIFAR100, MNIST, Digits, FashionMNIST, ImageData, catalogue
from neurodyn.data.formats.cifar import read_batch
from tests.data.files import REPOSITORY, find_real, write_batch, write_mnist


def check_normalisation(data: ImageData) -> None:
    # Equal parts, because all at once would take a gigabyte.
    parts = data.read(train=True)[0].split(5000)
    moments = []
    for part in parts:
        values = part.double() / data.peak
        moments.append(torch.stack([values.mean((0, 2, 3)), values.square().mean((0, 2, 3))]))
    mean, square = torch.stack(moments).mean(0)
    std = (square - mean.square()).sqrt()
    torch.testing.assert_close(mean, torch.tensor(data.mean).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, torch.tensor(data.std).double(), atol=1e-4, rtol=0)


def test_digits() -> None:
    data = Digits()
    images, labels = data.read(train=True)
    test_images, test_labels = data.read(train=False)
    assert images.shape == (1437, 1, 8, 8)
    assert test_images.shape == (360, 1, 8, 8)
    assert test_labels.bincount().min() >= 34
    together = torch.cat([images, test_images]).flatten(1)
    assert len(together.unique(dim=0)) == 1797
    assert labels.bincount().sum() == 1437
    check_normalisation(data)


def test_digits_test_set_does_not_move() -> None:
    chosen = {Digits(split_seed=seed).read(train=False)[1][:20].sum().item() for seed in range(3)}
    assert len(chosen) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_layout(tmp_path: Path, packed: bool) -> None:
    data = MNIST(root=str(write_mnist(tmp_path, packed=packed)))
    images, labels = data.read(train=True)
    assert images.shape == (200, 1, 28, 28)
    assert labels.tolist() == [index % 10 for index in range(200)]
    assert data.read(train=False)[0].shape == (50, 1, 28, 28)


def test_mnist_and_fashion_mnist_are_not_mixed_up(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Fashion-MNIST: looked for"):
        FashionMNIST(root=str(write_mnist(tmp_path))).setup()


def test_cifar10_layout(tmp_path: Path) -> None:
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"):
        write_batch(tmp_path / "cifar-10-batches-py" / name, 20)
    data = CIFAR10(root=str(tmp_path))
    images, labels = data.read(train=True)
    assert images.shape == (100, 3, 32, 32)
    assert labels.bincount().tolist() == [10] * 10
    with pytest.raises(FileNotFoundError, match=r"CIFAR-10: looked for .*test_batch"):
        data.setup("test")


def test_cifar100_layout(tmp_path: Path) -> None:
    for name, number in (("train", 300), ("test", 100)):
        write_batch(tmp_path / "cifar-100-python" / name, number, 100, b"fine_labels")
    data = CIFAR100(root=str(tmp_path))
    data.setup()
    assert data.read(train=True)[0].shape == (300, 3, 32, 32)
    assert data.read(train=False)[1].tolist() == list(range(100))


# --- the real files, where they are -------------------------------------------------------------


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_real_idx(kind: type[MNIST]) -> None:
    source = kind.source
    root = find_real(*(f"{source.folder}/{archive.name}" for archive in source.archives))
    for archive in source.archives:
        content = (root / source.folder / archive.name).read_bytes()
        assert archive.checksum == f"md5:{hashlib.md5(content).hexdigest()}"
        unpacked = gzip.decompress(content)
        digest, size = source.md5[archive.name.removesuffix(".gz")]
        assert digest == hashlib.md5(unpacked).hexdigest()
        assert size <= len(unpacked) < size + 20
    data = kind(root=str(root))
    images, labels = data.read(train=True)
    assert images.shape == (60_000, 1, 28, 28)
    assert labels.bincount(minlength=10).min() > 5000
    assert data.read(train=False)[0].shape == (10_000, 1, 28, 28)
    check_normalisation(data)


def test_real_cifar10() -> None:
    root = find_real("cifar-10-batches-py/data_batch_5", "cifar-10-batches-py/test_batch")
    data = CIFAR10(root=str(root))
    images, labels = data.read(train=True)
    assert images.shape == (50_000, 3, 32, 32)
    assert labels.bincount().tolist() == [5000] * 10
    assert data.read(train=False)[1].bincount().tolist() == [1000] * 10
    check_normalisation(data)


def test_a_damaged_real_batch_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = find_real("cifar-10-batches-py/test_batch")
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))
    content = bytearray((root / "cifar-10-batches-py" / "test_batch").read_bytes())
    content[1_000_000] ^= 1
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"test_batch: found md5 .* expected 40351d58"):
        CIFAR10(str(tmp_path)).setup("test")


def test_real_cifar10_batch_out_of_its_archive(tmp_path: Path) -> None:
    """One batch straight from the archive: reading on to the others would take too long."""
    packed = REPOSITORY.parent / "shared" / "data" / "cifar10" / "cifar-10-batches-py.tar.xz"
    if not packed.exists():
        pytest.skip(f"no {packed}")
    start = time.monotonic()
    with tarfile.open(packed) as tar:
        for member in tar:
            if member.name.endswith("data_batch_1"):
                packed_file = tar.extractfile(member)
                assert packed_file is not None
                path = tmp_path / "data_batch_1"
                path.write_bytes(packed_file.read())
                break
            if time.monotonic() - start > 20:
                pytest.skip("data_batch_1 did not come within 20 s")
    # As published with the batches, and known from torchvision.
    assert hashlib.md5(path.read_bytes()).hexdigest() == "c99cafc152244af753f735de768cd75f"
    images, labels = read_batch(path)
    assert images.shape == (10_000, 3, 32, 32)
    assert labels[:5].tolist() == [6, 9, 9, 4, 1]


def test_sources_name_every_file_that_is_read() -> None:
    for kind in (CIFAR10, CIFAR100):
        assert set(kind.training_files + kind.test_files) == set(kind.source.md5)
    assert set(CIFAR10.training_files + CIFAR10.test_files) == set(
        catalogue.CIFAR10.archives[0].members
    )
    assert set(CIFAR100.training_files + CIFAR100.test_files) == set(
        catalogue.CIFAR100.archives[0].members
    )
