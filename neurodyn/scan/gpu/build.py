"""From a GPU kernel's source to a module, by way of a file, from which Triton reads the source."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch

from neurodyn import __version__
from neurodyn.files import MAKING, keep_text

_modules: dict[str, ModuleType] = {}


def load_kernel(name: str, source: str) -> ModuleType:
    """Import a kernel's source from the cache, where it is written first if it is missing.

    Args:
        name: the beginning of its file's name.
        source: the module's source.
    """
    text = f"{__version__} {torch.__version__}\n{source}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    module = f"neurodyn_kernel_{name}_{digest}"
    with MAKING:
        if module not in _modules:
            _modules[module] = _imported(module, keep_text(f"{module}.py", source))
        return _modules[module]


def _imported(module: str, path: Path) -> ModuleType:
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
    return loaded
