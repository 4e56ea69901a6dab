"""A published data set: where its files lie, how to get them, and whether they are intact."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from neurodyn.errors import require
from neurodyn.files import cache_dir, write, written_aside


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Args:
        name: its name, below each of the source's mirrors.
        checksum: `"md5:..."` or `"sha256:..."`, as published.
        members: the files to take from a zip archive, or from the source's folder in a tar archive;
            empty for a file that is used as it is.
    """

    name: str
    checksum: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A published data set.

    Args:
        title: its name.
        folder: the folder of its files below the root, as torchvision and Tonic lay them out.
        mirrors: addresses to try in this order.
        archives: the files to download.
        advice: how to get the files if they cannot be downloaded here.
        licence: of the data, as commonly stated.
        md5: for each file, its md5 and the number of bytes that its samples have. A file at least
            that large must be the published one. A smaller file passes as your own.
    """

    title: str
    folder: str
    mirrors: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    advice: str = ""
    licence: str = ""
    md5: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def find(self, root: str | Path, name: str) -> Path:
        """The path of one of the data set's files below the root, plain or gzipped.

        Raises:
            FileNotFoundError: it is not there; the message says how to get it.
            ValueError: it is as large as the published one, but has other content.
        """
        path = folder_of(root) / self.folder / name
        for candidate in (path, path.with_name(f"{name}.gz")):
            if candidate.is_file():
                self._verify(candidate)
                return candidate
        raise self.missing(path)

    def find_all(self, root: str | Path, folder: str, pattern: str) -> list[Path]:
        """The paths in one of the data set's folders that match a pattern, sorted.

        Raises:
            FileNotFoundError: there are none.
        """
        path = folder_of(root) / self.folder / folder
        found = sorted(path.glob(pattern))
        if not found:
            raise self.missing(path / pattern if path.is_dir() else path)
        return found

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
            OSError: no mirror gave the right file. The message says what each of them gave.
        """
        place = folder_of(root) / self.folder
        for archive in self.archives:
            if all(_present(place / name) for name in archive.members or (archive.name,)):
                continue
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".download-", dir=place) as folder:
                packed = self._download(archive, folder)
                self.unpack(archive, packed, place)

    def unpack(self, archive: Archive, packed: Path, place: Path) -> None:
        """Put the wanted files of a download into a folder.

        Raises:
            ValueError: the archive is broken or lacks one.
        """
        with _intact(archive):
            for name, content in self._contents(archive, packed):
                target = place / name
                with content, written_aside(target) as aside, aside.open("wb") as file:
                    shutil.copyfileobj(content, file)

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
                f"another one, read it with a subclass of the data set whose `source` has no `md5`."
            )
        # Where nothing can be written, the file is verified again the next time.
        with contextlib.suppress(OSError):
            write(seen, "")

    def _download(self, archive: Archive, folder: str) -> Path:
        pooch = require("pooch", "train")
        failures = []
        for mirror in self.mirrors:
            url = mirror + archive.name
            try:
                return Path(
                    pooch.retrieve(
                        url,
                        known_hash=archive.checksum,
                        fname=archive.name,
                        path=folder,
                        downloader=pooch.HTTPDownloader(progressbar=True, timeout=60),
                    )
                )
            # A broken transfer is an OSError (requests), a wrong checksum a ValueError (pooch).
            except (OSError, ValueError) as error:
                failures.append(f"{url}: {error}")
        raise OSError(
            f"{self.title}: could not download {archive.name}; nothing was changed. "
            + " ".join(failures)
        )

    def _contents(self, archive: Archive, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
        """The wanted files of a download, by name, to be read.

        An archive never says where to write: pooch's `Untar` follows its links out of the folder
        (on Python 3.11, which has no filter by default).
        """
        if not archive.members:
            yield archive.name, path.open("rb")
        elif archive.name.endswith(".zip"):
            with zipfile.ZipFile(path) as packed:
                for name in archive.members:
                    yield name, packed.open(name)
        else:
            with tarfile.open(path) as tar:
                for name in archive.members:
                    member = tar.getmember(f"{self.folder}/{name}")
                    content = tar.extractfile(member) if member.isfile() else None
                    if content is None:
                        raise ValueError(f"expected {member.name} to be a file")
                    yield name, content

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
        raise AssertionError(f"{path.name} is not a file of {self.title}")


@contextlib.contextmanager
def _intact(archive: Archive) -> Iterator[None]:
    """Turn an error of unpacking into one that names the archive."""
    try:
        yield
    # A broken archive can raise anything. The disk's own errors stay as they are.
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        found, members = " ".join(str(error).split()), ", ".join(archive.members)
        raise ValueError(
            f"{archive.name}: {found}; expected a complete archive with {members}"
        ) from error


def _present(path: Path) -> bool:
    """Whether a file is there, packed or not."""
    return path.is_file() or (path.suffix == ".gz" and path.with_suffix("").is_file())


def folder_of(root: str | Path) -> Path:
    """The root as an absolute path, `~` expanded; it need not exist.

    Raises:
        NotADirectoryError: it is a file.
    """
    path = Path(root).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"root: expected a folder, got the file {path}")
    return path
