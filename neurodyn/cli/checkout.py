"""The folders that come with the source checkout: studies and benchmarks."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from neurodyn.errors import unknown

CHECKOUT = Path(__file__).parents[2]
"""The source checkout, if neurodyn runs from one."""


def room(name: str) -> Path:
    """The folder of a package that lies beside neurodyn in a checkout and is not installed."""
    if not (CHECKOUT / "pyproject.toml").is_file() or not (CHECKOUT / name).is_dir():
        raise FileNotFoundError(
            f"{name}: this folder comes with the source checkout of neurodyn and not with the "
            "installed package; clone the repository and run `pip install -e .` in it"
        )
    return CHECKOUT / name


def studies() -> Any:
    """The package `studies` of the checkout, found by its place and not by the import path."""
    folder = room("studies")
    loaded = sys.modules.get("studies")
    if loaded is None or Path(str(loaded.__file__)).parent != folder:
        spec = importlib.util.spec_from_file_location("studies", folder / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = sys.modules["studies"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    return loaded


def bench(name: str, options: list[str]) -> int:
    """Run a benchmark; returns its exit status."""
    names = sorted(path.stem for path in room("benchmarks").glob("[!_]*.py"))
    if name not in names:
        raise unknown("bench", name, names)
    # From the user's working directory, whose files must not hide the modules of the checkout.
    path = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, env=environment, check=False).returncode
