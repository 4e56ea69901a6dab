from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurodyn.data import CIFAR10DVS, NMNIST, DVSGesture
from neurodyn.data.augment.events import EventAugment
from neurodyn.data.sets.cameras import EventData
from tests.data.files import find_real, write_nmnist
from tests.data.formats.test_events import made
from tests.data.test_base import fit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))


def write_digits(root: Path) -> str:
    for part, number in (("Train", 6), ("Test", 2)):
        for digit in range(10):
            for index in range(number):
                path = root / "NMNIST" / part / str(digit) / f"{index:05}.bin"
                write_nmnist(path, made(50 + 10 * digit, 34))
    return str(root)


def test_nmnist(tmp_path: Path) -> None:
    root = write_digits(tmp_path)
    augment = EventAugment(flip=True, roll=2)
    data = NMNIST(root, steps=5, batch_size=20, validation=20, augment=augment)
    frames, labels = fit(data).seen["val"][0]
    assert frames.shape == (5, 20, 2, 34, 34)
    assert torch.equal(frames.sum((0, 2, 3, 4)).long(), 50 + 10 * labels)
    data.setup("test")
    assert data._test.labels.bincount().tolist() == [2] * 10
    assert len(list((tmp_path / "cache" / "samples").iterdir())) == 2
    small = NMNIST(root, steps=5, size=17, batch_size=20)
    frames, _ = fit(small).seen["train"][0]
    assert small.shape == (2, 17, 17)
    assert frames.shape == (5, 20, 2, 17, 17)
    small.setup("test")
    whole = small._test.values.float().mean((1, 2, 3, 4))
    shrunk, _ = small.prepare(small._test.values, small._test.labels, None)
    torch.testing.assert_close(shrunk.mean((0, 2, 3, 4)), whole)


def test_missing_and_broken_recordings(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"N-MNIST: looked for .*Train .* Test\.zip from"):
        NMNIST(str(tmp_path)).setup("fit")
    root = write_digits(tmp_path)
    path = tmp_path / "NMNIST" / "Train" / "3" / "00001.bin"
    write_nmnist(path, made(8, 34))
    with pytest.raises(ValueError, match=r"00001\.bin: found 8 events, expected one for each"):
        NMNIST(root).setup("fit")


@pytest.mark.parametrize(
    ("kind", "folder", "pattern"),
    [
        (NMNIST, "NMNIST/Train", r"\[0-9\]/\*\.bin"),
        (CIFAR10DVS, "CIFAR10DVS/airplane", r"\*\.aedat\*"),
        (DVSGesture, "DVSGesture/ibmGestureTrain", r"\*/\*\.npy"),
    ],
)
def test_an_empty_folder_is_named(
    tmp_path: Path, kind: type[EventData], folder: str, pattern: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=f"looked for {tmp_path}/{folder}/{pattern} and"):
        kind(str(tmp_path)).setup("fit")


def write_aedat(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    words = np.random.default_rng(0).integers(0, 2**15, (40, 2), dtype=np.uint32).astype(">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n" + words.tobytes())


def test_cifar10_dvs_is_split_by_number(tmp_path: Path) -> None:
    for name in CIFAR10DVS.NAMES:
        for index in range(20):
            write_aedat(tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{index}.aedat")
    data = CIFAR10DVS(str(tmp_path), steps=4, size=48)
    test = data.files(train=False)
    assert [path.stem for path, _ in test[:2]] == ["cifar10_airplane_18", "cifar10_airplane_19"]
    assert not {path for path, _ in test} & {path for path, _ in data.files(train=True)}
    data.setup("test")
    assert data._test.labels.bincount().tolist() == [2] * 10
    assert len(CIFAR10DVS(str(tmp_path), train_share=0.7).files(train=True)) == 140


def test_gestures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("Train", "Test"):
        for label in range(11):
            folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / "user01_led"
            folder.mkdir(parents=True, exist_ok=True)
            events = [*rng.integers(0, 128, (2, 30)), rng.integers(0, 2, 30), np.arange(30.0)]
            np.save(folder / f"{label}.npy", np.stack(events, 1))
    data = DVSGesture(str(tmp_path), steps=3, by="time", validation=0)
    data.setup()
    assert data._test.labels.tolist() == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]


class Wide(NMNIST):
    """A sensor that is not square."""

    side = (34, 40)


def test_a_rectangular_sensor_in_a_window(tmp_path: Path) -> None:
    root = write_digits(tmp_path)
    path = tmp_path / "NMNIST" / "Train" / "3" / "00001.bin"
    write_nmnist(path, made(2, 34))  # Fewer events than frames.
    augment = EventAugment(flip=True, roll=2, nda=True, drop=0.5)
    window = {"by": "time", "start_ms": 0.1, "duration_ms": 10}
    data = Wide(root, steps=5, batch_size=20, augment=augment, size=(17, 20), **window)
    frames, _ = fit(data).seen["train"][0]
    assert data.shape == (2, 17, 20)
    assert frames.shape == (5, 20, 2, 17, 20)
    assert Wide(root).shape == (2, 34, 40)


def test_a_gesture_without_a_label(tmp_path: Path) -> None:
    folder = tmp_path / "DVSGesture" / "ibmGestureTrain" / "user01_led"
    folder.mkdir(parents=True)
    (folder / "hand.npy").touch()
    with pytest.raises(ValueError, match=r"hand\.npy: expected a label for its name, such as 7"):
        DVSGesture(str(tmp_path)).setup("fit")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (NMNIST, {"by": "counts"}, "by: unknown name 'counts'. Did you mean 'count'?"),
        (NMNIST, {"size": 48}, "size: expected a number from 1 to 34, got 48"),
        (NMNIST, {"duration_ms": 10}, "duration_ms: expected by='time', got by='count'"),
        (NMNIST, {"by": "time", "duration_ms": 0}, "duration_ms: expected a number from 0.001"),
        (NMNIST, {"size": (34, 35)}, "size: expected a number from 1 to 34, got 35"),
        (CIFAR10DVS, {"train_share": 1.0}, "train_share: expected a number between 0 and 1"),
    ],
)
def test_bad_arguments(kind: type[EventData], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_real_nmnist() -> None:
    root = find_real("NMNIST/Test/0")
    data = NMNIST(str(root))
    data.setup("test")
    assert len(data._test) >= 100
    events = data._test.values.sum((1, 2, 3, 4)).float()
    assert 1000 < events.min() < 4500 < events.max() < 20_000
