"""Where the data sets come from, where they lie, and how they get there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neurodyn.errors import require
from neurodyn.scan.cache import cache_dir


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Args:
        name: its name, below each of the source's mirrors.
        checksum: `"md5:..."` or `"sha256:..."`, as published.
        members: the files that are wanted out of a zip archive or out of the source's folder in a
            tar archive; nothing for a file that is used as it is.
    """

    name: str
    checksum: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A published data set.

    Args:
        title: what it is called.
        folder: where its files lie below the root; torchvision's and Tonic's layout.
        mirrors: addresses to try in this order.
        archives: what to download.
        advice: how to get what cannot be downloaded here.
        md5: of its files as they are read, and how many bytes all their samples have. A file that
            large claims to be the published one and has to be; a smaller one is somebody's own.
    """

    title: str
    folder: str
    mirrors: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    advice: str = ""
    md5: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def find(self, root: str | Path, name: str) -> Path:
        """The path of one of the data set's files below the root, plain or gzipped.

        Raises:
            FileNotFoundError: it is not there; says where to get it and where to put it.
            ValueError: it is as large as the published one, and has another content.
        """
        path = folder_of(root) / self.folder / name
        for candidate in (path, path.with_name(f"{name}.gz")):
            if candidate.is_file():
                self._verify(candidate)
                return candidate
        raise self.missing(path)

    def missing(self, path: Path) -> FileNotFoundError:
        """The error for a file or folder that is not there."""
        download = "Or have it downloaded: --data.download true (in Python, download=True). "
        return FileNotFoundError(
            f"{self.title}: looked for {path} and did not find it. {self._advice(path)} "
            f"{download if self.archives else ''}Or name the folder that has it: --data.root."
        )

    def fetch(self, root: str | Path) -> None:
        """Download what is missing below the root, checksums verified.

        Files appear in their place complete or not at all.

        Raises:
            OSError: no mirror gave the right file; says what each of them gave.
        """
        place = folder_of(root) / self.folder
        for archive in self.archives:
            if not all(self._present(place, name) for name in archive.members or (archive.name,)):
                place.mkdir(parents=True, exist_ok=True)
                # On the same file system, so that moving a file into its place is atomic.
                with tempfile.TemporaryDirectory(prefix=".download-", dir=place) as temporary:
                    self._download(archive, Path(temporary))
                    for file in self._unpack(archive, Path(temporary)):
                        os.replace(file, place / file.name)

    def _verify(self, path: Path) -> None:
        expected, size = self.md5.get(path.name, ("", 0))
        status = path.stat()
        if not expected or status.st_size < size:
            return
        stamp = f"{path} {status.st_size} {status.st_mtime_ns} {expected}"
        seen = cache_dir() / "verified" / hashlib.sha256(stamp.encode()).hexdigest()[:16]
        if seen.is_file():
            return
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != expected:
            raise ValueError(
                f"{path}: found md5 {found}, expected {expected}, that of {self.title}; the file "
                f"is damaged or another one. Remove it. {self._advice(path)} If it is meant to be "
                f"another one: a subclass of the data set with a `source` without `md5` reads it."
            )
        try:
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.touch()
        except OSError:
            pass  # Nothing can be written: it is verified again the next time.

    def _present(self, place: Path, name: str) -> bool:
        return (place / name).is_file() or (place / name.removesuffix(".gz")).is_file()

    def _download(self, archive: Archive, folder: Path) -> None:
        pooch = require("pooch", "train")
        failures = []
        for mirror in self.mirrors:
            url = mirror + archive.name
            try:
                pooch.retrieve(
                    url,
                    known_hash=archive.checksum,
                    fname=archive.name,
                    path=folder,
                    downloader=pooch.HTTPDownloader(progressbar=True, timeout=60),
                )
                return
            # A broken transfer is an OSError (requests), a wrong checksum a ValueError (pooch).
            except (OSError, ValueError) as error:
                failures.append(f"{url}: {error}")
        raise OSError(
            f"{self.title}: could not download {archive.name}; nothing was changed. "
            + " ".join(failures)
        )

    def _unpack(self, archive: Archive, folder: Path) -> list[Path]:
        if not archive.members:
            return [folder / archive.name]
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(folder / archive.name) as packed:
                return [Path(packed.extract(name, folder)) for name in archive.members]
        inside = [f"{self.folder}/{name}" for name in archive.members]
        with tarfile.open(folder / archive.name) as tar:
            for name in inside:
                packed_file = tar.extractfile(name) if tar.getmember(name).isfile() else None
                if packed_file is None:
                    raise ValueError(f"{archive.name}: expected {name} to be a file in it")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with packed_file, open(folder / name, "wb") as file:
                    shutil.copyfileobj(packed_file, file)
        return [folder / name for name in inside]

    def _advice(self, path: Path) -> str:
        if not self.archives:
            return self.advice
        for archive in self.archives:
            if path.name in archive.members:
                inside = "" if archive.name.endswith(".zip") else self.folder
                place = str(path.parent).removesuffix(inside)
                return f"Get {self.mirrors[0]}{archive.name} and unpack it in {place}."
            if archive.name == f"{path.name}.gz":
                return f"Get {self.mirrors[0]}{archive.name} and put it into {path.parent}."
        raise AssertionError(f"{path.name} is no file of {self.title}")


def folder_of(root: str | Path) -> Path:
    """The root as an absolute path, `~` expanded; it need not exist.

    Raises:
        NotADirectoryError: it is a file.
    """
    path = Path(root).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"root: expected a folder, got the file {path}")
    return path


MNIST = Source(
    title="MNIST",
    folder="MNIST/raw",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    archives=(
        Archive("train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Archive("train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"),
        Archive("t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"),
        Archive("t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    md5={
        "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", 47_040_000),
        "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", 60_000),
        "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", 7_840_000),
        "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", 10_000),
    },
)

FASHION_MNIST = Source(
    title="Fashion-MNIST",
    folder="FashionMNIST/raw",
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    archives=(
        Archive("train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Archive("train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe"),
        Archive("t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79"),
        Archive("t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    md5={
        "train-images-idx3-ubyte": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", 47_040_000),
        "train-labels-idx1-ubyte": ("9018921c3c673c538a1fc5bad174d6f9", 60_000),
        "t10k-images-idx3-ubyte": ("8181f5470baa50b63fa0f6fddb340f0a", 7_840_000),
        "t10k-labels-idx1-ubyte": ("15d484375f8d13e6eb1aabb0c3f46965", 10_000),
    },
)

CIFAR10 = Source(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    archives=(
        Archive(
            "cifar-10-python.tar.gz",
            "md5:c58f30108f718f92721af3b95e74349a",
            (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
        ),
    ),
    md5={
        "data_batch_1": ("c99cafc152244af753f735de768cd75f", 30_720_000),
        "data_batch_2": ("d4bba439e000b95fd0a9bffe97cbabec", 30_720_000),
        "data_batch_3": ("54ebc095f3ab1f0389bbae665268c751", 30_720_000),
        "data_batch_4": ("634d18415352ddfa80567beed471001a", 30_720_000),
        "data_batch_5": ("482c414d41f54cd18b22e5b47cb7c3cb", 30_720_000),
        "test_batch": ("40351d587109b95175f43aff81a1287e", 30_720_000),
    },
)

CIFAR100 = Source(
    title="CIFAR-100",
    folder="cifar-100-python",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    archives=(
        Archive(
            "cifar-100-python.tar.gz",
            "md5:eb9058c3a382ffc7106e4002c42a8d85",
            ("train", "test"),
        ),
    ),
    md5={
        "train": ("16019d7e3df5f24257cddd939b257f8d", 153_600_000),
        "test": ("f0ef6b0ae62326f3e7ffdfab6717acfc", 30_720_000),
    },
)

SHD = Source(
    title="SHD",
    folder="SHD",
    mirrors=("https://zenkelab.org/datasets/",),
    archives=(
        Archive("shd_train.h5.zip", "md5:f3252aeb598ac776c1b526422d90eecb", ("shd_train.h5",)),
        Archive("shd_test.h5.zip", "md5:1503a5064faa34311c398fb0a1ed0a6f", ("shd_test.h5",)),
    ),
)

SSC = Source(
    title="SSC",
    folder="SSC",
    mirrors=("https://zenkelab.org/datasets/",),
    archives=(
        Archive("ssc_train.h5.zip", "md5:d102be95e7144fcc0553d1f45ba94170", ("ssc_train.h5",)),
        Archive("ssc_valid.h5.zip", "md5:b4eee3516a4a90dd0c71a6ac23a8ae43", ("ssc_valid.h5",)),
        Archive("ssc_test.h5.zip", "md5:a35ff1e9cffdd02a20eb850c17c37748", ("ssc_test.h5",)),
    ),
)

SPOKEN_DIGITS = Source(
    title="Free Spoken Digit Dataset",
    folder="free-spoken-digit-dataset/recordings",
    advice="Get https://github.com/Jakobovski/free-spoken-digit-dataset into the root.",
)

SPOKEN_DIGIT_SPIKES = Source(
    title="Spoken digits as spikes",
    folder="fsdd_spikes",
    advice="These are the Free Spoken Digit Dataset's recordings turned to spikes by the cochlea "
    "model that made SHD (lauscher), in SHD's layout; SpokenDigits makes spikes of the recordings.",
)

NMNIST = Source(
    title="N-MNIST",
    folder="NMNIST",
    advice="Get Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist and "
    "unpack them there.",
)

CIFAR10DVS = Source(
    title="CIFAR10-DVS",
    folder="CIFAR10DVS",
    advice="Get https://figshare.com/ndownloader/files/38023437 (AEDAT 4, Tonic's) and unpack it "
    "and the archives in it there.",
)

DVS_GESTURE = Source(
    title="DVS128 Gesture",
    folder="DVSGesture",
    advice="Get https://figshare.com/ndownloader/files/38022171 (ibmGestureTrain.tar.gz) and "
    "https://figshare.com/ndownloader/files/38020584 (ibmGestureTest.tar.gz) and unpack them "
    "there.",
)

IMAGENET = Source(
    title="ImageNet",
    folder="imagenet",
    advice="Get ILSVRC 2012 from https://image-net.org, unpack its training images as "
    "train/<wnid>/*.JPEG and its validation images as val/<wnid>/*.JPEG.",
)

NTIDIGITS = Source(
    title="N-TIDIGITS18",
    folder="NTIDIGITS",
    advice="https://docs.google.com/document/d/1Uxe7GsKKXcy6SlDUX4hoJVAC0-UkH-8kr5UXp0Ndi1M leads "
    "to n-tidigits.hdf5; put it there.",
)
