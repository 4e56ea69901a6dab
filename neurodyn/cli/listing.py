"""`neurodyn list`: what there is by name, one line each."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from collections.abc import Callable
from types import ModuleType

from neurodyn.cli.checkout import studies
from neurodyn.errors import require, unknown
from neurodyn.training.find import find_recipe, recipe_names

DATA_BASES = ("Sample", "Image", "Sequence", "Event", "Spike")
"""`SampleData` and the other classes of data sets that have no samples of their own."""

Lines = dict[str, str]
SENTENCE = re.compile(r"(.+?)(?:[.:]?$|[.:](?=\s+[A-Z`])|(?<=\?)\s)", re.DOTALL)

REFERENCE = re.compile(r" \([^()]*(?:\d{4}|arXiv)[^()]*\)")


def show(group: str | None = None) -> None:
    """Print one group, or all of them with headings."""
    if group is not None and group not in GROUPS:
        raise unknown("list", group, GROUPS)
    for name in [group] if group else GROUPS:
        try:
            lines = GROUPS[name]()
        except (FileNotFoundError, ImportError) as error:
            if group:
                raise
            lines = {"": str(error)}
        if not group:
            print(name if name == next(iter(GROUPS)) else f"\n{name}")
        print("\n".join(_columns(lines, indent=0 if group else 2)))


def first_sentence(text: str) -> str:
    """The first sentence on one line, without its full stop and without references."""
    line = REFERENCE.sub("", " ".join(text.partition("\n\n")[0].split()))
    found = SENTENCE.match(line)
    return found[1] if found else ""


def _columns(lines: Lines, indent: int) -> list[str]:
    width = shutil.get_terminal_size().columns
    first = max(map(len, lines), default=0)
    whole = (f"{'':{indent}}{name:<{first}}  {text}".rstrip() for name, text in lines.items())
    return [line if len(line) <= width else f"{line[: width - 1].rstrip()}…" for line in whole]


def _documented(classes: dict[str, type]) -> Lines:
    texts = {name: inspect.cleandoc(cls.__doc__ or "") for name, cls in classes.items()}
    # The user's own come last.
    names = sorted(texts, key=lambda name: ("." in name, name.lower()))
    return {name: first_sentence(texts[name]) for name in names}


def _neurons() -> Lines:
    from neurodyn.training.names import neuron_names

    return _documented(dict(neuron_names()))


def _recipes() -> Lines:
    lines = {}
    for name in recipe_names():
        text = find_recipe(name).read_text(encoding="utf-8")
        comment = re.match(r"(#.*\n)*", text)
        lines[name] = first_sentence(re.sub(r"^# ?", "", comment[0] if comment else "", flags=re.M))
    return lines


def _data() -> Lines:
    from neurodyn.training.names import own_classes

    require("lightning", "train")
    public = importlib.import_module("neurodyn.data.public")
    base, *others = (getattr(public, f"{kind}Data") for kind in DATA_BASES)
    ours = _subclasses(public, base)
    return _documented({n: c for n, c in ours.items() if c not in others} | own_classes(base))


def _networks() -> Lines:
    from torch import nn

    from neurodyn import models
    from neurodyn.training.names import neuron_names, own_classes

    neurons = neuron_names().values()
    own = {n: c for n, c in own_classes(nn.Module).items() if c not in neurons}
    return _documented(_subclasses(models, models.SpikingNetwork) | own)


def _subclasses(module: ModuleType, base: type) -> dict[str, type]:
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }


def _readouts() -> Lines:
    from neurodyn.layers import READOUTS

    return _documented(dict(READOUTS))


def _studies() -> Lines:
    return {study.name: study.question for study in studies().STUDIES.values()}


GROUPS: dict[str, Callable[[], Lines]] = {
    "recipes": _recipes,
    "studies": _studies,
    "neurons": _neurons,
    "networks": _networks,
    "readouts": _readouts,
    "data": _data,
}
"""What can be listed. The groups that need no PyTorch come first: they are shown at once."""
