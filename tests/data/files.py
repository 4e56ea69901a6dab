"""Where real data may lie, and small files in the real formats."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]


def find_real(*relative: str) -> Path:
    """The first of the places for real data that has these files; skips the test if none has."""
    given = os.environ.get("NEURODYN_DATA")
    cache = Path("~/.cache/neurodyn/data").expanduser()
    shared = REPOSITORY.parent / "shared" / "data"
    roots = [Path(given)] if given else [cache, shared, shared / "mnist", shared / "fashion-mnist"]
    for root in roots:
        if all((root / path).exists() for path in relative):
            return root
    wanted = " and ".join(relative)
    pytest.skip(f"no {wanted} below {', '.join(map(str, roots))} (set NEURODYN_DATA)")


def write_idx(path: Path, array: np.ndarray, code: int = 0x08, *, packed: bool = False) -> Path:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def write_batch(path: Path, images: int, classes: int = 10, key: bytes = b"labels") -> Path:
    rng = np.random.default_rng(images)
    batch = {
        key: [index % classes for index in range(images)],
        b"data": rng.integers(0, 256, (images, 3072), dtype=np.uint8),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(batch, protocol=2))
    return path


def write_mnist(root: Path, *, packed: bool = False) -> Path:
    """An MNIST of 200 training and 50 test images below the root."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    end = ".gz" if packed else ""
    for part, number in (("train", 200), ("t10k", 50)):
        images = rng.integers(0, 256, (number, 28, 28), dtype=np.uint8)
        labels = np.arange(number, dtype=np.uint8) % 10
        write_idx(raw / f"{part}-images-idx3-ubyte{end}", images, packed=packed)
        write_idx(raw / f"{part}-labels-idx1-ubyte{end}", labels, packed=packed)
    return root


def write_spikes(
    path: Path, labels: list[int], *, speakers: list[int] | None = None, units: int = 700
) -> Path:
    """A file of spike trains in the layout of SHD: 50 spikes per sample within 1.2 s."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(len(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        number = len(labels)
        kinds = {"times": np.float16, "units": np.uint16}
        for name, kind in kinds.items():
            file.create_dataset(f"spikes/{name}", (number,), h5py.vlen_dtype(kind))
        for sample in range(number):
            file["spikes/times"][sample] = np.sort(rng.random(50) * 1.2).astype(np.float16)
            file["spikes/units"][sample] = rng.integers(0, units, 50).astype(np.uint16)
        file["labels"] = np.array(labels, np.uint16)
        if speakers is not None:
            file["extra/speaker"] = np.array(speakers, np.uint16)
            file["extra/meta_info/speaker_name"] = np.array([b"ann", b"bob", b"cas", b"dee"])
    return path


def write_wav(path: Path, seconds: float = 0.3, rate: int = 8000, frequency: float = 440) -> Path:
    """A tone as 16-bit samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((3000 * tone).astype("<i2").tobytes())
    return path


def write_nmnist(path: Path, events: np.ndarray) -> Path:
    """Events as N-MNIST has them: x, y, and a bit of polarity above 23 of time, 8 + 8 + 24 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    word = events["p"].astype(np.uint32) << 23 | np.minimum(events["t"], 2**23 - 1).astype("u4")
    content = np.empty((len(events), 5), np.uint8)
    content[:, 0], content[:, 1] = events["x"], events["y"]
    for byte in range(3):
        content[:, 2 + byte] = word >> (16 - 8 * byte) & 255
    path.write_bytes(content.tobytes())
    return path


def tar_of(**files: bytes) -> bytes:
    """A tar archive; two underscores in a name are a slash."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()
