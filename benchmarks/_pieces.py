"""Archives of data sets that came in pieces: joined, verified, unpacked.

A piece is called like its archive with a suffix behind: `cifar-10-python.tar.gz.00`, `.01`, and so
on, or `.aa`, `.ab`, as `split` names them. Pieces are joined in the order of their names.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
from pathlib import Path

from neurodyn.data import catalogue
from neurodyn.data.archive import Source

BLOCK = 1 << 20


def published() -> dict[str, tuple[Source, str]]:
    """The archives of the catalogue by name, each with its source and its checksum."""
    sources = [value for value in vars(catalogue).values() if isinstance(value, Source)]
    return {
        archive.name.rpartition("/")[2]: (source, archive.checksum)
        for source in sources
        for archive in source.archives
    }


def join(folder: Path, out: Path) -> list[Path]:
    """Join the pieces in a folder; returns the archives, which are as published.

    An archive that is whole counts as one piece. An archive that is joined already is kept.
    """
    known = published()
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = path.name if path.name in known else path.stem
        if name in known:
            found.setdefault(name, []).append(path)
    if not found:
        sys.exit(f"data-parts: expected pieces of {', '.join(known)} in {folder}, found none")
    out.mkdir(parents=True, exist_ok=True)
    joined = []
    for name, pieces in found.items():
        archive, checksum = out / name, known[name][1]
        if not (archive.is_file() and checksum_of(archive, checksum) == checksum):
            with archive.open("wb") as target:
                for piece in pieces:
                    with piece.open("rb") as source:
                        shutil.copyfileobj(source, target, BLOCK)
            if (got := checksum_of(archive, checksum)) != checksum:
                names = ", ".join(piece.name for piece in pieces)
                sys.exit(f"data-parts: {name} from {names}: expected {checksum}, got {got}")
        joined.append(archive)
    return joined


def checksum_of(path: Path, like: str) -> str:
    """A file's checksum by the algorithm of another one."""
    algorithm = like.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def unpack(archive: Path, root: Path) -> None:
    """Put an archive's files where its data set looks for them."""
    source, _ = published()[archive.name]
    if archive.name.endswith((".tar.gz", ".tar")):
        root.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as packed:
            # Before Python 3.11.4 there is no filter; the archive's checksum is known in any case.
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            packed.extractall(root)
    else:  # A file that is used as it is.
        folder = root / source.folder
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archive, folder / archive.name)
