from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from neurodyn.data.cache import cached


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path))
    return tmp_path / "samples"


def make(number: int = 3, **settings: object) -> torch.Tensor:
    samples = (np.full((2,), n, np.uint8) for n in range(number))
    return cached("numbers", settings, [], (3, 2), samples)


def test_samples_are_made_once(folder: Path) -> None:
    assert make().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert make(number=0).tolist() == [[0, 0], [1, 1], [2, 2]], "read, not made"
    with pytest.raises(ValueError, match="found 0 samples, expected 3"):
        make(number=0, other=1)
    assert len(list(folder.iterdir())) == 1


def test_writing_to_the_tensor_leaves_the_file_alone() -> None:
    make().fill_(9)
    assert make().max() == 2


@pytest.mark.parametrize("number", [2, 4])
def test_wrong_number(number: int, folder: Path) -> None:
    with pytest.raises(ValueError, match="expected 3"):
        make(number)
    assert list(folder.iterdir()) == []


def test_files_that_changed_make_them_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")

    def read() -> float:
        value = (np.full((1,), int(source.read_text()), np.uint8) for _ in range(1))
        return cached("file", {}, [source], (1, 1), value).item()

    assert read() == 1
    source.write_text("22")
    assert read() == 22


def test_without_a_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("NEURODYN_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="numbers: the samples stay in memory .*NEURODYN_CACHE"):
        values = make()
    assert values.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.warns(UserWarning, match="the samples stay in memory .*No space left on device"):
        assert make().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert list(folder.iterdir()) == []


def test_a_real_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        monkeypatch.setenv("NEURODYN_CACHE", str(disk))
        samples = (np.full((2**10,), n, np.uint8) for n in range(200))
        with pytest.warns(UserWarning, match="stay in memory"):
            values = cached("numbers", {}, [], (200, 2**10), samples)
        assert values[:, 5].tolist() == list(range(200))
        assert list((disk / "samples").iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_space_is_written_where_it_cannot_be_reserved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.posix_fallocate")
    monkeypatch.setattr("neurodyn.data.cache.BLOCK", 4)
    assert make().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert make(number=0).tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("damage", ["cut", "shape", "zip", "noise"])
def test_a_damaged_file_is_made_again(folder: Path, damage: str) -> None:
    make()
    (path,) = folder.iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "shape":
        np.save(path, np.zeros((2, 3), np.uint8))
    elif damage == "zip":
        with path.open("wb") as file:
            np.savez(file, np.zeros(3))
    else:
        path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + b"(" * 200)
    assert make().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert make(number=0).tolist() == [[0, 0], [1, 1], [2, 2]]


KILLED = """
import os, signal
import numpy as np
from neurodyn.data.cache import cached

def samples():
    yield np.full((2,), 7, np.uint8)
    os.kill(os.getpid(), signal.SIGKILL)

cached("numbers", {}, [], (3, 2), samples())
"""


def test_killed_while_making(folder: Path) -> None:
    run = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL
    assert len(list(folder.iterdir())) == 1
    assert make().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert {path.name[0] for path in folder.iterdir()} == {".", "n"}, "the draft is not read"


def test_an_error_while_making_is_not_taken_for_a_full_disk() -> None:
    def fails() -> Iterator[np.ndarray]:
        raise FileNotFoundError("a recording")
        yield

    with pytest.raises(FileNotFoundError, match="a recording"):
        cached("numbers", {}, [], (3, 2), fails())
