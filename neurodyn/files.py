"""The cache folder, files that appear whole or not at all, and the lock of what is made once.

A file of the cache is named by the hash of what it depends on. So it never changes, and needs no
lock: it is written aside and renamed into place. A process that cannot write there (a read-only
home, a full disk) makes the content for itself, in memory or in a temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

DIGEST = hashlib.sha256().digest_size

MAKING = threading.RLock()
"""Held while something is made that a process makes once: programs, kernels, their modules."""

if hasattr(os, "register_at_fork"):  # Windows does not fork.
    # A fork waits until nothing is being made: a child would inherit locks, ours and LLVM's, that
    # are held by a thread which it does not have.
    os.register_at_fork(
        before=MAKING.acquire, after_in_parent=MAKING.release, after_in_child=MAKING.release
    )


def cache_dir() -> Path:
    """The cache folder: `$NEURODYN_CACHE`, or `neurodyn` in the user's cache folder, or, for a user
    without a home, a temporary folder of this process."""
    given = os.environ.get("NEURODYN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return (Path(given) if given else Path(base) / "neurodyn").expanduser()
    except RuntimeError:
        return own_folder()


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path to write a file to, which takes its place at `path` when the context ends without an
    error: at any time, `path` is a whole file or is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what `written_aside` left beside `path` when its process was killed."""
    for aside in path.parent.glob(f".{path.stem}-????????{path.suffix}"):
        aside.unlink(missing_ok=True)


def write(path: Path, content: bytes | str) -> Path:
    """Write a file, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def kept(name: str) -> bytes | None:
    """The content of a file of the cache, if it is there and its digest is right."""
    try:
        data = (cache_dir() / name).read_bytes()
    except OSError:
        return None
    digest, content = data[:DIGEST], data[DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes) -> None:
    """Put a file into the cache, with its digest, for `kept`; does nothing where it cannot be
    written."""
    with contextlib.suppress(OSError):
        write(cache_dir() / name, hashlib.sha256(content).digest() + content)


def keep_text(name: str, text: str) -> Path:
    """Put a file that people and interpreters read into the cache, or, if it cannot be written
    there, into a temporary folder of this process; returns its path."""
    path = cache_dir() / name
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return path
    try:
        return write(path, text)
    except OSError:
        return write(own_folder() / name, text)


@lru_cache(maxsize=1)
def own_folder() -> Path:
    """A temporary folder of this process."""
    return Path(tempfile.mkdtemp(prefix="neurodyn-"))
