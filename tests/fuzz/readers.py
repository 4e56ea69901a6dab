"""The readers of files, each with small intact and hostile files of its format."""

from __future__ import annotations

import os
import pickle
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurodyn.comparison.settings import saved_settings
from neurodyn.data import ArrayFile
from neurodyn.data.archive import Archive, Source
from neurodyn.data.cache import cached
from neurodyn.data.formats.cifar import read_batch
from neurodyn.data.formats.cochlea import read_wav
from neurodyn.data.formats.events import read_events
from neurodyn.data.formats.idx import read_idx
from neurodyn.data.formats.photographs import read_photograph
from neurodyn.data.formats.spikes import Bins, read_counts, read_speakers
from neurodyn.errors import require
from neurodyn.files import keep, kept, read_json
from neurodyn.training.checkpoint import WholeCheckpoints, refuse_broken
from neurodyn.training.recipe import Recipe
from tests.data import recordings
from tests.data.files import tar_of, write_batch, write_idx, write_spikes, zip_of

YAML = b"""model:
  network: {class_path: neurodyn.models.ConvNet, init_args: {widths: [8, 8]}}
  optim: {lr: 0.01}
trainer: {max_epochs: 2}
"""

RECIPES = [
    b"""model:
  network: {class_path: neurodyn.models.ConvNet, init_args: {widths: [8, 8]}}
data: {class_path: neurodyn.data.Digits, init_args: {batch_size: 32}}
trainer: {max_epochs: 2, logger: false, accelerator: cpu}
""",
    b"""model:
  network: {class_path: subprocess.Popen, init_args: {args: "touch hacked", shell: true}}
  regularisers: [{class_path: os.system, init_args: {command: "touch hacked"}}]
data: Digits
trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.LambdaCallback,
  init_args: {on_train_start: os.abort}}]}
""",
]


@dataclass(frozen=True)
class Reader:
    """A reader, the name of its file, and the files that mutation starts from."""

    name: str
    read: Callable[[Path], Any]
    seeds: list[bytes]


class Calls:
    """Unpickles to a call."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def readers() -> dict[str, Reader]:
    """All readers by their name."""
    with tempfile.TemporaryDirectory() as folder:
        files = _files(Path(folder))
    found = {
        "idx": Reader("train", read_idx, files["idx"]),
        "CIFAR's pickle": Reader("data_batch_1", read_batch, files["pickle"]),
        "SHD's HDF5": Reader("a.h5", _spikes, files["hdf5"]),
        "wav": Reader("a.wav", lambda path: read_wav(path, 8000), files["wav"]),
        "JPEG": Reader("a.jpeg", lambda path: read_photograph(path, 8), files["jpeg"]),
        "tar": Reader("all.tar.gz", _unpack, [tar_of(all__one=b"1" * 99), tar_of(all__two=b"")]),
        "zip": Reader("all.zip", _unpack, [zip_of(one=b"1" * 99), zip_of(two=b"")]),
        "sample cache": Reader("a.npy", _cache, files["cache"]),
        "checkpoint": Reader("best.ckpt", _checkpoint, files["checkpoint"]),
        "results": Reader("result.json", read_json, [b'{"accuracy": 98.5, "seconds": [1, 2]}\n']),
        "settings": Reader("config.yaml", saved_settings, [YAML]),
        "recipe": Reader("mine.yaml", _recipe, RECIPES),
        "npz": Reader("mine.npz", _arrays, files["npz"]),
        "csv": Reader("mine.csv", _arrays, [b"a,b,y\n1,2,0\n3,4,1\n", b"1;2\n3;4\n"]),
        "arrays in HDF5": Reader("mine.h5", _arrays, files["h5"]),
        "arrays in MATLAB": Reader("mine.mat", _arrays, files["arrays"]),
        "machine code": Reader("kernel.o", _code, files["code"]),
    }
    events = {
        "a.bin": recordings.nmnist(),
        "a.aedat4": recordings.aedat4(),
        "a.aedat": recordings.aedat2(),
        "a.dat": recordings.dat(),
        "evt2.raw": recordings.evt2(),
        "evt3.raw": recordings.evt3(),
        "a.mat": files["mat"][0],
        "a.npy": files["npy"][0],
    }
    kinds = {"evt2.raw": "EVT2", "evt3.raw": "EVT3"}
    for name, content in events.items():
        found[kinds.get(name, Path(name).suffix)] = Reader(name, read_events, [content])
    return found


def _files(folder: Path) -> dict[str, list[bytes]]:
    from PIL import Image
    from scipy.io import savemat

    write_idx(folder / "idx", np.arange(60, dtype=np.uint8).reshape(5, 4, 3))
    write_idx(folder / "idx.gz", np.arange(60, dtype=np.uint8).reshape(5, 4, 3), packed=True)
    write_batch(folder / "pickle", 1)
    write_spikes(folder / "a.h5", [0, 1], speakers=[0, 1])
    with wave.open(str(folder / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(range(256)))
    image = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3) % 251)
    image.save(folder / "a.jpeg")
    trains = np.zeros((101, 40))
    trains[np.arange(40), np.arange(40)] = 1
    trains[100] = np.arange(40) / 100
    savemat(folder / "plain.mat", {"spiketrain": trains})
    savemat(folder / "packed.mat", {"spiketrain": trains}, do_compression=True)
    x, y = np.arange(24.0).reshape(4, 3, 2), np.arange(4) % 2
    np.savez(folder / "plain.npz", x=x, y=y)
    np.savez_compressed(folder / "packed.npz", x=x, y=y)
    np.savez(folder / "hostile.npz", x=x, y=np.array([Calls(os.system, "touch hacked")] * 4))
    savemat(folder / "arrays.mat", {"x": x, "y": y[:, None]})
    with require("h5py", "audio").File(folder / "arrays.h5", "w") as file:
        file["x"], file["y"] = x, y
    np.save(folder / "a.npy", np.arange(40.0).reshape(10, 4) % 2)
    np.save(folder / "cache.npy", np.zeros((3, 2), np.uint8))
    torch.save({"state_dict": {"weight": torch.zeros(3)}, "epoch": 2}, folder / "best.ckpt")
    torch.save({"state_dict": Calls(os.system, "touch hacked")}, folder / "hostile.ckpt")
    os.environ["NEURODYN_CACHE"] = str(folder)
    keep("kernel.o", b"machine code" * 9)
    calls = [Calls(os.system, "touch hacked"), Calls(eval, "open('hacked', 'w')")]
    bombs = [b"\x80\x02]r\x00\x00\x00\x18.", b"\x80\x02]q\x00]q\x01(h\x00h\x00e](h\x01h\x01e."]

    def read(*names: str) -> list[bytes]:
        return [(folder / name).read_bytes() for name in names]

    return {
        "idx": read("idx", "idx.gz"),
        "pickle": [*read("pickle"), *(pickle.dumps([call], 2) for call in calls), *bombs],
        "hdf5": read("a.h5"),
        "wav": read("a.wav"),
        "jpeg": read("a.jpeg"),
        "mat": read("plain.mat", "packed.mat"),
        "npy": read("a.npy"),
        "cache": read("cache.npy"),
        "checkpoint": read("best.ckpt", "hostile.ckpt"),
        "code": read("kernel.o"),
        "npz": read("plain.npz", "packed.npz", "hostile.npz"),
        "arrays": read("arrays.mat"),
        "h5": read("arrays.h5"),
    }


def _recipe(path: Path) -> None:
    """As the command reads it; a network that is too large may take the memory."""
    try:
        Recipe([f"--config={path}"], run=False)
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{path}: {error}") from error  # The command line names the file.
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def _arrays(path: Path) -> None:
    """As a data set of one's own."""
    data = ArrayFile(str(path), test=0)
    data.open(train=True)


def _spikes(path: Path) -> None:
    list(read_counts(path, Bins(steps=10, seconds=0.1, recorded=700, channels=140)))
    read_speakers(path)


def _unpack(path: Path) -> None:
    archive = Archive(path.name, "", ("one",))
    source = Source("All", "all", (), (archive,))
    source.unpack(archive, path, path.parent / "unpacked")


def _checkpoint(path: Path) -> None:
    """As a run that goes on reads it."""
    refuse_broken(path)
    try:
        WholeCheckpoints().load_checkpoint(path, weights_only=True)
    except pickle.UnpicklingError as error:  # The command says which option named the file.
        raise ValueError(f"{path}: {error}") from error


def _code(path: Path) -> None:
    """Machine code that is damaged is not run, and is no error."""
    os.environ["NEURODYN_CACHE"] = str(path.parent)
    assert kept(path.name) in (None, b"machine code" * 9)


def _cache(path: Path) -> None:
    """Put the file where the cache would have it."""
    os.environ["NEURODYN_CACHE"] = str(path.parent)
    samples = [np.zeros(2, np.uint8)] * 3
    assert cached("numbers", {}, [], (3, 2), samples).shape == (3, 2)
    (kept,) = (path.parent / "samples").iterdir()
    kept.write_bytes(path.read_bytes())
    assert cached("numbers", {}, [], (3, 2), samples).shape == (3, 2)
