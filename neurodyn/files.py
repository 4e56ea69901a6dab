"""The cache folder, files that appear whole or not at all, and the lock of what is made once.

A file of the cache is named by the hash of what it depends on. So it never changes, and needs no
lock: it is written aside and renamed into place. A process that cannot write there (a read-only
home, a full disk) makes the content for itself, in memory or in a temporary folder.

Code in the cache is run. So it is read from a folder only if no other user could have put it there
(see `code_dir`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

DIGEST = hashlib.sha256().digest_size

FROM = "from"
"""In what was read of a file and is kept: the file's name. No option of anything is called so, as
the word is one of Python's."""

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


def code_dir() -> Path:
    """The cache folder for files that are run: `cache_dir()`, unless other users can write there.
    Then it is a temporary folder of this process, and a warning says so, once."""
    folder = cache_dir()
    with contextlib.suppress(OSError):  # Some umasks would let a group write there.
        folder.mkdir(0o755, parents=True)
    reason = _unsafe(folder)
    if reason is None:
        return folder
    if folder not in _refused:
        _refused.add(folder)
        warnings.warn(
            f"the kernel cache {folder} is not used, as its code would be run and {reason}. A "
            "temporary folder is used instead; NEURODYN_CACHE can name another one",
            RuntimeWarning,
            stacklevel=2,
        )
    return own_folder()


_refused: set[Path] = set()


def _unsafe(folder: Path) -> str | None:
    """Why other users could have put a file into a folder; None if only root and this user could.

    The folders above need no check: those who may rename there can only put a folder of their own
    in its place. Windows has no such modes.
    """
    if not hasattr(os, "getuid"):
        return None
    try:
        found = folder.stat()
    except OSError:
        return None  # It cannot be made, so nothing is read.
    if found.st_uid not in (0, os.getuid()):
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write there ({stat.filemode(found.st_mode)}; chmod go-w mends it)"
    return None


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


def read_json(path: Path) -> Any:
    """The content of a JSON file; an error names the file."""
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected JSON, got {error}") from error


def digest(content: Any) -> str:
    """Eight characters that change with the content of a JSON file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]


def kept(name: str) -> bytes | None:
    """The code in a file of the cache; None if it is not there, damaged, or another file's."""
    try:
        data = (code_dir() / name).read_bytes()
    except OSError:
        return None
    digest, content = data[:DIGEST], data[DIGEST:]
    return content if _digest(name, content) == digest else None


def keep(name: str, content: bytes) -> None:
    """Put code into the cache, for `kept`; does nothing where it cannot be written.

    Its digest covers the name, which is a hash of all that the code was made from: a file that is
    swapped for another is not run.
    """
    with contextlib.suppress(OSError):
        write(code_dir() / name, _digest(name, content) + content)


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(name.encode()).digest() + content).digest()


def keep_text(name: str, text: str) -> Path:
    """Put source into the cache, or, if it cannot be written there, into a temporary folder of this
    process; returns its path. A file of that name with another content is replaced."""
    path = code_dir() / name
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
