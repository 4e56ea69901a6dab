from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from neurodyn.data import CIFAR10, CIFAR100, MNIST, Digits, FashionMNIST, ImageData
from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.samples import Batch
from tests.data.files import write_mnist


@pytest.fixture(autouse=True)
def no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes what `seed_everything` leaves in the environment."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    monkeypatch.delenv("PL_GLOBAL_SEED")


class Guard(lightning.LightningModule):
    """A model that keeps the batches it is given; `noise` draws random numbers in between."""

    def __init__(self, noise: int = 0) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.noise = noise
        self.seen: dict[str, list[Batch]] = {"train": [], "val": [], "test": []}

    def keep(self, stage: str, batch: Batch) -> Tensor:
        self.seen[stage].append(copy.deepcopy(batch))
        torch.rand(self.noise)
        return self.layer(batch[0].mean().reshape(1, 1)).sum()

    def training_step(self, batch: Batch) -> Tensor:
        return self.keep("train", batch)

    def validation_step(self, batch: Batch) -> None:
        self.keep("val", batch)

    def test_step(self, batch: Batch) -> None:
        self.keep("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer(**options: Any) -> lightning.Trainer:
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
        "max_epochs": 1,
    }
    return lightning.Trainer(**{**quiet, **options})


def fit(data: ImageData, seed: int = 0, noise: int = 0, **options: Any) -> Guard:
    lightning.seed_everything(seed, verbose=False)
    model = Guard(noise)
    trainer(**options).fit(model, datamodule=data)
    return model


def same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(x, y)
        for pair in zip(first, second, strict=True)
        for x, y in zip(*pair, strict=True)
    )


def rows(loader: DataLoader[Batch]) -> set[bytes]:
    return {image.numpy().tobytes() for images, _ in loader for image in images}


def all_rows(data: ImageData) -> tuple[set[bytes], set[bytes], set[bytes]]:
    data.setup()
    validation = data.val_dataloader()
    assert isinstance(validation, DataLoader)
    return rows(data.train_dataloader()), rows(validation), rows(data.test_dataloader())


# --- splits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("validation", "number"), [(0.1, 144), (0.5, 718), (200, 200)])
def test_split_is_disjoint_stratified_and_complete(validation: float, number: int) -> None:
    # A batch that takes all, so that no incomplete one is dropped.
    data = Digits(validation=validation, batch_size=2000)
    training, held, test = all_rows(data)
    assert len(held) == number
    assert len(training) == 1437 - number
    assert not training & held
    assert not (training | held) & test
    (_, labels), (_, whole) = next(iter(data.val_dataloader())), data.read(train=True)
    expected = whole.bincount() * number / 1437
    assert (labels.bincount() - expected).abs().max() <= 1


def test_split_depends_on_its_own_seed_alone() -> None:
    lightning.seed_everything(1, verbose=False)
    first = all_rows(Digits(batch_size=2000))
    lightning.seed_everything(2, verbose=False)
    assert all_rows(Digits(batch_size=2000)) == first
    other = all_rows(Digits(batch_size=2000, split_seed=1))
    assert other[1] != first[1]
    assert other[2] == first[2]


def test_limit_is_class_balanced_and_leaves_the_rest_alone() -> None:
    full, limited = Digits(batch_size=2000), Digits(batch_size=2000, limit=100)
    training, held, test = all_rows(full)
    few, same_held, same_test = all_rows(limited)
    assert few < training
    assert (same_held, same_test) == (held, test)
    ((_, labels),) = limited.train_dataloader()
    assert labels.bincount().tolist() == [10] * 10


def test_no_validation() -> None:
    data = Digits(validation=0, batch_size=2000)
    model = fit(data)
    assert model.seen["val"] == []
    assert len(model.seen["train"][0][1]) == 1437


# --- order ---------------------------------------------------------------------------------------


def order(data: ImageData, epoch: int = 0) -> list[int]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return [int(images.long().sum()) for images, _ in loader]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    data = Digits(batch_size=1)
    data.setup()
    lightning.seed_everything(1, verbose=False)
    first, second = order(data), order(data, 1)
    torch.rand(10)
    assert order(data) == first
    assert first != second
    assert sorted(first) == sorted(second)
    lightning.seed_everything(2, verbose=False)
    assert order(data) not in (first, second)


def test_incomplete_last_batch_is_dropped_in_training_only() -> None:
    data = Digits(batch_size=100)
    data.setup()
    assert [len(labels) for _, labels in data.train_dataloader()] == [100] * 12
    assert [len(labels) for _, labels in data.val_dataloader()] == [100, 44]
    assert [len(labels) for _, labels in data.test_dataloader()] == [100, 100, 100, 60]


def test_only_batch_is_not_dropped() -> None:
    data = Digits(batch_size=100, limit=50)
    data.setup()
    assert [len(labels) for _, labels in data.train_dataloader()] == [50]


def test_replicas_get_disjoint_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Digits(batch_size=2000)
    data.setup()
    shares = []
    for rank in range(2):
        replicas = {"num_replicas": 2, "rank": rank}
        part = type("Trainer", (), {"distributed_sampler_kwargs": replicas})()
        monkeypatch.setattr(data, "trainer", part)
        shares.append(rows(data.train_dataloader()))
    assert {len(share) for share in shares} <= {646, 647}
    assert len(shares[0] & shares[1]) <= 1  # one image makes the shares even


# --- on the device -------------------------------------------------------------------------------


def test_batches_are_normalised_floats() -> None:
    model = fit(Digits(batch_size=2000))
    images, labels = model.seen["train"][0]
    assert images.dtype == torch.float32
    assert images.shape == (1293, 1, 8, 8)
    assert labels.dtype == torch.int64
    assert images.mean().abs() < 0.01
    assert (images.std() - 1).abs() < 0.01


def test_precision_of_the_trainer_is_honoured() -> None:
    model = fit(Digits(batch_size=2000), precision="64-true")
    assert model.seen["train"][0][0].dtype == torch.float64


VARIED: dict[str, Any] = {
    "augment": ImageAugment(crop=2, flip=True, cutout=3),
    "limit": 100,
    "batch_size": 25,
}


def test_augmentation_is_off_outside_training() -> None:
    plain, varied = fit(Digits(limit=100, batch_size=25)), fit(Digits(**VARIED))
    assert same(varied.seen["val"], plain.seen["val"])
    assert not same(varied.seen["train"], plain.seen["train"])
    assert [labels.tolist() for _, labels in varied.seen["train"]] == [
        labels.tolist() for _, labels in plain.seen["train"]
    ]
    trainer().test(varied, datamodule=Digits(**VARIED), verbose=False)
    trainer().test(plain, datamodule=Digits(limit=100, batch_size=25), verbose=False)
    assert same(varied.seen["test"], plain.seen["test"])


def test_images_depend_on_the_seed_and_not_on_the_model() -> None:
    first = fit(Digits(**VARIED), max_epochs=2).seen["train"]
    assert same(fit(Digits(**VARIED), noise=7, max_epochs=2).seen["train"], first)
    assert not same(fit(Digits(**VARIED), seed=1, max_epochs=2).seen["train"], first)
    assert not same(first[:4], first[4:])


def test_resumed_training_sees_what_it_would_have_seen(tmp_path: Path) -> None:
    through = fit(Digits(**VARIED), max_epochs=3).seen["train"]
    saver = ModelCheckpoint(tmp_path, filename="last")
    fit(Digits(**VARIED), max_epochs=1, enable_checkpointing=True, callbacks=[saver])
    lightning.seed_everything(0, verbose=False)
    torch.rand(5)
    resumed = Guard()
    trainer(max_epochs=3).fit(
        resumed, datamodule=Digits(**VARIED), ckpt_path=tmp_path / "last.ckpt"
    )
    assert same(resumed.seen["train"], through[4:])


# --- arguments and files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 1.0}, "validation: expected a share from 0 to below 1 or a whole number"),
        ({"validation": -0.1}, "validation: expected a share"),
        ({"validation": 12.5}, "validation: expected a share"),
        ({"validation": float("nan")}, "validation: expected a share"),
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"limit": 9}, "limit: expected at least 10, got 9"),
        ({"augment": ImageAugment(crop=-1)}, "crop: expected a number from 0 to 7, got -1"),
        ({"augment": ImageAugment(cutout=9)}, "cutout: expected a number from 0 to 8, got 9"),
        (
            {"augment": ImageAugment(auto_augment=True)},
            "auto_augment: expected images of 3 channels",
        ),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Digits(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 1437}, "validation: 1437 sets 1437 of 1437 samples aside"),
        ({"validation": 1e-5}, "validation: 1e-05 sets 0 of 1437 samples aside"),
        ({"limit": 1294}, "limit: expected a number from 10 to 1293, got 1294"),
    ],
)
def test_arguments_that_do_not_fit_the_data(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Digits(**options).setup()


def test_root_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(NotADirectoryError, match=f"root: expected a folder, got the file {path}"):
        MNIST(root=str(path))


def test_missing_data_through_the_trainer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"MNIST: looked for .* --data\.download true"):
        fit(MNIST(root=str(tmp_path)))


def test_download_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("neurodyn.data.archive.Source.fetch", lambda _, root: asked.append(root))
    MNIST(root=str(tmp_path)).prepare_data()
    assert asked == []
    MNIST(root=str(tmp_path), download=True).prepare_data()
    assert asked == [str(tmp_path)]


def test_loader_before_setup() -> None:
    with pytest.raises(RuntimeError, match=r"call setup\(\)"):
        Digits().train_dataloader()


class Tiny(ImageData):
    shape = (1, 4, 4)
    classes = 2
    mean, std = (0.5,), (0.5,)
    content: tuple[Tensor, Tensor]

    def read(self, train: bool) -> Batch:
        return self.content


IMAGES = torch.zeros(10, 1, 4, 4, dtype=torch.uint8)
LABELS = torch.arange(10) % 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((IMAGES[..., :3], LABELS), r"found samples of shape \(1, 4, 3\), torch\.uint8; expected"),
        ((IMAGES.float(), LABELS), r"found samples of .* torch\.float32; expected"),
        ((IMAGES, LABELS[1:]), "found 10 samples and 9 labels"),
        ((IMAGES, LABELS + 1), "found labels from 1 to 2, expected 0 to 1"),
        ((IMAGES[:0], LABELS[:0]), "found labels none"),
    ],
)
def test_data_that_are_not_what_they_claim(content: Batch, message: str) -> None:
    data = Tiny()
    data.content = content
    with pytest.raises(ValueError, match=rf"Tiny \(training set\): {message}"):
        data.setup("fit")


def test_arrays_and_lists() -> None:
    data = Tiny()
    data.content = IMAGES.numpy(), LABELS.tolist()  # type: ignore[assignment]
    data.setup("test")
    assert torch.equal(data._test.values, IMAGES)
    assert torch.equal(data._test.labels, LABELS)


def test_labels_that_are_not_whole() -> None:
    data = Tiny()
    data.content = IMAGES, torch.full((10,), 0.7)
    with pytest.raises(ValueError, match=r"Tiny \(training set\): found the label 0\.7, expected"):
        data.setup("fit")


def test_samples_in_a_list() -> None:
    data = Tiny()
    data.content = [1, 2], LABELS  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"found samples in a list; expected torch\.uint8"):
        data.setup("fit")


def test_labels_out_of_range_in_a_file(tmp_path: Path) -> None:
    root = write_mnist(tmp_path)
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(ValueError, match="found labels from 0 to 10, expected 0 to 9"):
        MNIST(root=str(root)).setup("fit")


def test_test_set_is_not_read_for_fitting(tmp_path: Path) -> None:
    root = write_mnist(tmp_path)
    for path in (root / "MNIST" / "raw").glob("t10k*"):
        path.unlink()
    MNIST(root=str(root)).setup("fit")
    with pytest.raises(FileNotFoundError, match="t10k-images"):
        MNIST(root=str(root)).setup("test")


# --- the package ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Digits, MNIST, FashionMNIST, CIFAR10, CIFAR100])
def test_shape_is_known_without_data(kind: type[ImageData]) -> None:
    assert len(kind.shape) == 3
    assert len(kind.mean) == len(kind.std) == kind.shape[0]
    assert kind.classes in (10, 100)


def test_options_and_their_help_reach_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(ImageData, "data")
    options = ["--data.validation=5000", "--data.limit=100", "--data.augment.crop=4"]
    args = parser.parse_args(["--data=CIFAR10", *options])
    assert args.data.init_args.augment.crop == 4
    assert args.data.init_args.validation == 5000
    assert isinstance(args.data.init_args.validation, int)
    assert args.data.init_args.limit == 100
    with pytest.raises(SystemExit):
        parser.parse_args(["--data.help=CIFAR10"])
    assert "side in pixels of a square" in " ".join(capsys.readouterr().out.split())


def test_import_is_cheap() -> None:
    code = (
        "import sys, neurodyn.data; from neurodyn.data import catalogue, formats; "
        "print([m for m in ('lightning', 'kornia', 'sklearn', 'pooch') if m in sys.modules]); "
        "neurodyn.data.Typo"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]"
    assert "module 'neurodyn.data' has no attribute 'Typo'" in run.stderr
