"""NEURON, with mechanisms that are compiled when a simulation asks for them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neurodyn.errors import require
from neurodyn.files import code_dir, own_folder, write

_loaded: set[Path] = set()
"""Libraries that this process has loaded: NEURON takes a mechanism once."""


def neuron(mechanisms: Iterable[Path]) -> Any:
    """NEURON's `h`, knowing these mechanisms.

    They are C code in all but name: they are compiled by `nrnivmodl`, which needs a C compiler, and
    loaded into this process. The library is kept in the cache folder.

    Args:
        mechanisms: files `.mod`, of code that you trust.

    Raises:
        ImportError: NEURON is not installed.
        RuntimeError: there is no `nrnivmodl`, or a mechanism does not compile.
    """
    os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")
    h = require("neuron", "biophysics").h
    library = compiled(sorted(mechanisms))
    if library not in _loaded:
        h.nrn_load_dll(str(library))
        _loaded.add(library)
    h.load_file("stdrun.hoc")
    return h


def compiled(mechanisms: list[Path]) -> Path:
    """The library of some mechanisms: from the cache, or compiled now."""
    version = require("neuron", "biophysics").__version__
    key = hashlib.sha256(f"{version} {sysconfig.get_platform()} {sys.version}".encode())
    for path in mechanisms:
        key.update(path.name.encode() + path.read_bytes())
    name = f"mechanisms-{key.hexdigest()[:16]}.so"
    kept = code_dir() / name
    if kept.is_file():
        return kept
    with tempfile.TemporaryDirectory(prefix="neurodyn-mechanisms-") as folder:
        for path in mechanisms:
            shutil.copy(path, folder)
        done = subprocess.run(
            [sys.executable, _nrnivmodl(), "."], cwd=folder, capture_output=True, text=True
        )
        made = next(Path(folder).rglob("libnrnmech.so"), None)
        if done.returncode or made is None:
            files = ", ".join(path.name for path in mechanisms)
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise RuntimeError(f"nrnivmodl: {files} could not be compiled:\n{tail}")
        content = made.read_bytes()
    try:
        return write(kept, content)
    except OSError:
        return write(own_folder() / name, content)


def _nrnivmodl() -> str:
    beside = Path(sys.executable).with_name("nrnivmodl")
    found = str(beside) if beside.exists() else shutil.which("nrnivmodl")
    if found is None:
        raise RuntimeError(
            "nrnivmodl: expected NEURON's compiler of mechanisms on the path, found none"
        )
    return found
