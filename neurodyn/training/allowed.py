"""What a recipe may name: classes and functions that run no code but that of a training.

A recipe chooses classes by their import path, so a recipe from elsewhere could run any command:
importing a module runs it, `subprocess.Popen` is a class, `os.abort` is a callable. The rule is:

- Where a parameter is annotated with a class, a recipe may name a subclass of it from `PLACES`.
- Where it is annotated with a callable, a recipe may name a function from `FUNCTIONS`.
- Where it is annotated with `object`, with `Any` or not at all, a recipe may name nothing.
- Modules of the user's belong to both lists if the user names them: `--import`, or `allow`.

The path is checked before it is imported. Then the place that the object really comes from is
checked: `neurodyn.cli.os.system` is the `system` of `posix`. Both are public settings of
jsonargparse.

It has none for the rest, so this module wraps two private functions of `jsonargparse._typehints`:
`import_object`, which every class path goes through, and `adapt_class_type`, which reads the
arguments of a class and builds it. Should one go away, importing this module fails. Then find the
function that took over its work. The attacks in tests/training/test_allowed.py say whether the rule
holds.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from jsonargparse import _common, _typehints, set_parsing_settings

from neurodyn.step.torch_private import BUILT_IN

PLACES = ("neurodyn", "torch.nn", "torch.optim", "torchmetrics", "lightning")
"""Packages whose classes a recipe may name. The rest of torch is not here: `torch.hub`,
`torch.package` and `torch.utils.cpp_extension` run code that they are given."""

FUNCTIONS = ("neurodyn", "torch.nn.functional", "torch.nn.init", BUILT_IN)
"""Packages whose functions a recipe may name. Some of `torch.nn.functional` are built in."""

OURS = (
    *("neurodyn.cli", "neurodyn.__main__", "neurodyn.load", "neurodyn.files"),
    *("neurodyn.compare", "neurodyn.interactive.compare", "neurodyn.comparison.compare"),
    *("neurodyn.report", "neurodyn.interactive.result"),
    *("neurodyn.training.allowed", "neurodyn.training.card", "neurodyn.training.recipe"),
    *("neurodyn.biophysics.allen", "neurodyn.biophysics.nrn"),
    *("neurodyn.training.answering", "neurodyn.training.loading", "neurodyn.training.weights"),
)
"""Modules of ours that run commands, change this rule or write files: not for recipes."""

RULE = (
    "A recipe may name classes of neurodyn, torch.nn, torch.optim, torchmetrics and Lightning, and "
    "functions of neurodyn, torch.nn.functional and torch.nn.init."
)

DENIED = re.compile(r"(Importing '([^']*)' is not allowed), denied by .*? to allow it\.", re.DOTALL)

_named: list[str] = []
"""Modules that the user named."""

_on: ContextVar[bool] = ContextVar("only_allowed", default=False)
_import, _build = _typehints.import_object, _typehints.adapt_class_type


class NotAllowedError(ImportError, ValueError):
    """A recipe names something that it may not name. jsonargparse catches these two errors."""


def allow(module: str) -> None:
    """Let recipes name the classes and functions of a module, and import it.

    It is looked for in the current folder too, after all other places.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    if not all(part.isidentifier() for part in module.split(".")) or module.endswith(".py"):
        stem = re.sub(r"\.py$", "", module).strip("./\\").replace("/", ".").replace("\\", ".")
        raise ValueError(
            f"import: expected the name of a module, such as {stem or 'mine'}, got {module!r}"
        )
    try:
        importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise ValueError(
                f"import: expected the name of a module, got {module!r}: {error}. The installed "
                f"packages and the current folder were searched: {here}"
            ) from error
        raise ValueError(f"import: {module!r} could not be imported: {_place(error)}") from error
    if module not in _named:
        _named.append(module)


def _place(error: Exception) -> str:
    """An error while a module was imported, with the line of code where it happened."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if not frame.filename.startswith("<frozen")][-1]
    return f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})"


def named() -> list[ModuleType]:
    """The modules that the user named."""
    return [sys.modules[module] for module in _named]


def check_named(setting: str, path: str) -> None:
    """An error unless an import path leads into this package or a module that the user named."""
    if not any(path.startswith(f"{place}.") for place in ("neurodyn", *_named)):
        raise ValueError(f"{setting}: importing {path!r} is not allowed. {how_to_allow(path)}")


def how_to_allow(path: str) -> str:
    """How to allow an import path, if it leads into a module of the user's."""
    module = path.partition(".")[0]
    here = any(Path(name).exists() for name in (f"{module}.py", module))
    return (
        "To allow a module of your own, name it on the command line: "
        f"--import {module if module.isidentifier() and here else 'MODULE'}"
    )


@contextmanager
def only_allowed() -> Iterator[None]:
    """While this lasts, jsonargparse imports and builds only what a recipe may name."""
    before = dict(_common.parsing_settings)
    set_parsing_settings(
        instantiate_subclass_spec_in_any=False,
        validate_subclass_spec_in_any=True,  # An error, where the value would be left as it is.
        import_path_denylist=["*", *OURS],
        import_path_allowlist=[*PLACES, *FUNCTIONS, *_named],
    )
    token = _on.set(True)
    try:
        yield
    finally:
        _on.reset(token)
        _common.parsing_settings.update(before)


def explained(message: str) -> str:
    """A message of jsonargparse, with our advice instead of the one for programmers."""
    return DENIED.sub(lambda found: _not_allowed(found[2]), message)


def _not_allowed(path: str) -> str:
    return f"Importing '{path}' is not allowed in a recipe. {RULE} {how_to_allow(path)}"


def _import_allowed(name: str, check_path: bool = True) -> Any:
    found = _import(name, check_path)
    if _on.get() and check_path and not inspect.isclass(found) and not _is_function(found, name):
        raise NotAllowedError(_not_allowed(name))
    return found


def _is_function(found: Any, name: str) -> bool:
    """Whether an object that a recipe names is a function from where functions may be from."""
    # Builtins of torch do not know their module. Then the path has to be the short one.
    home = getattr(found, "__module__", None)
    places = (*FUNCTIONS, *_named)
    if home is None:
        return inspect.isroutine(found) and name.rpartition(".")[0] in places
    return inspect.isroutine(found) and any(f"{home}.".startswith(f"{p}.") for p in places)


def _build_allowed(value: Any, *args: Any, **options: Any) -> Any:
    """Refuse what is not a class, and a class for a parameter that is not annotated with one.

    A function could be called with arguments of the recipe's. For a callable that returns a class,
    jsonargparse gives `partial_skip_args`; for a parameter annotated with a class, `typehint`.
    """
    if _on.get():
        path = value["class_path"]
        if not inspect.isclass(_import_allowed(path)):
            raise NotAllowedError(f"{path!r} is not a class, and only classes take arguments")
        if options.get("typehint") is None and options.get("partial_skip_args") is None:
            raise NotAllowedError(
                f"{path!r} is a class, and this setting takes none: its type allows any object. "
                "A setting that is called takes a function"
            )
    return _build(value, *args, **options)


def install() -> None:
    """Replace jsonargparse's two functions by ours."""
    _typehints.import_object = _import_allowed
    _typehints.adapt_class_type = _build_allowed
