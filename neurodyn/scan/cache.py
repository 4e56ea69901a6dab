"""Where kernels are kept: their source, and the machine code that is made of it.

A kernel's file is named by the hash of what it depends on, so a file never changes and needs no
lock: it is written aside and renamed into place. Whoever cannot write there (a read-only home, a
full disk) compiles for itself in memory or in a temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import torch

from neurodyn import __version__
from neurodyn.scan.lock import MAKING

_modules: dict[str, ModuleType] = {}
DIGEST = hashlib.sha256().digest_size


def cache_dir() -> Path:
    """`$NEURODYN_CACHE`, else `neurodyn` in the user's cache folder; for a user without a home, a
    temporary folder of this process."""
    given = os.environ.get("NEURODYN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return (Path(given) if given else Path(base) / "neurodyn").expanduser()
    except RuntimeError:
        return _own_folder()


def read(name: str) -> bytes | None:
    """A file of the cache, if it is there and whole."""
    try:
        data = (cache_dir() / name).read_bytes()
    except OSError:
        return None
    digest, content = data[:DIGEST], data[DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes, *, checked: bool = True) -> None:
    """Put a file into the cache, whole or not at all; nothing happens where it cannot be written.

    Args:
        name: of the file.
        content: of the file.
        checked: for `read`, which tells a broken file by its digest; otherwise for people.
    """
    digest = hashlib.sha256(content).digest() if checked else b""
    with contextlib.suppress(OSError):
        _write(cache_dir() / name, digest + content)


def load_kernel(name: str, source: str) -> ModuleType:
    """Import a GPU kernel's source from the cache, writing it there first if it is not.

    Args:
        name: what the kernel is, for its file's name.
        source: the module's source.
    """
    digest = hashlib.sha256(f"{__version__} {_toolchain()}\n{source}".encode()).hexdigest()[:16]
    module = f"neurodyn_kernel_{name}_{digest}"
    with MAKING:
        if module not in _modules:
            path = _stored(f"{module}.py", source)
            spec = importlib.util.spec_from_file_location(module, path)
            assert spec is not None
            assert spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[module] = loaded
            try:
                spec.loader.exec_module(loaded)
            except BaseException:
                del sys.modules[module]
                raise
            _modules[module] = loaded
        return _modules[module]


def _stored(name: str, source: str) -> Path:
    path = cache_dir() / name
    if _holds(path, source):
        return path
    try:
        return _write(path, source.encode())
    except OSError:
        return _write(_own_folder() / name, source.encode())


def _holds(path: Path, source: str) -> bool:
    try:
        return path.read_text() == source
    except OSError:
        return False


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return path


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="neurodyn-"))


@lru_cache(maxsize=1)
def _toolchain() -> str:
    """What a kernel depends on besides its source: the helpers that it calls."""
    helpers = (Path(__file__).parent / "gpu_math.py").read_bytes()
    return f"{torch.__version__} {hashlib.sha256(helpers).hexdigest()}"
