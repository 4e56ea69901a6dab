"""The documentation and the signature that a class's declarations make."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from neurodyn.learned import Learned


def document(cls: type, own: Mapping[str, Learned]) -> None:
    """Put what is declared among the arguments of the class's docstring."""
    lines = []
    for name, quantity in own.items():
        if quantity.doc and not quantity.vector:
            start = f"default {quantity.default}"
            edge = quantity.reaches_edge(quantity.learn)
            bounds = "" if quantity.link is None else f", {quantity.range(edge=edge)}"
            learned = "" if quantity.learn else ", not learned"
            lines.append(f"    {name}: {quantity.doc} ({start}{bounds}{learned}).")
    text = inspect.getdoc(cls) if vars(cls).get("__doc__") else None
    if lines and text:
        head, args, rest = text.partition("\nArgs:\n")
        opening = f"{head}\nArgs:" if args else f"{head}\n\nArgs:"
        cls.__doc__ = "\n".join([opening, *lines, rest]).rstrip() + "\n"


def sign(cls: Any) -> None:
    """Give the class's `__init__` the signature that its declarations make, for `help` and the
    command line."""
    init = vars(cls).get("__init__")
    inherited: dict[str, inspect.Parameter] = {}
    for base in reversed(cls.__bases__):  # What the first base says holds.
        inherited |= _named(base.__init__)
    hidden = {n for base in cls.__mro__ for n, v in vars(base).items() if isinstance(v, Learned)}
    inherited = {n: p for n, p in inherited.items() if n not in hidden - cls.declared.keys()}
    explicit: dict[str, inspect.Parameter] = {}
    if init is None:
        init = _forwarding(cls)
    else:
        explicit = _named(init)
        if all(p.kind != p.VAR_KEYWORD for p in inspect.signature(init).parameters.values()):
            return
        # Only its own arguments go by position.
        inherited = {n: p.replace(kind=p.KEYWORD_ONLY) for n, p in inherited.items()}
    declared = {
        name: quantity.argument(name)
        for name, quantity in cls.declared.items()
        if not quantity.vector and (name in vars(cls) or name not in inherited)
    }
    # The first of two of a name gives the place, the last the argument.
    merged = {**explicit, **inherited, **declared, **explicit}
    signature = inspect.Signature(sorted(merged.values(), key=lambda p: p.kind))
    init.__signature__ = signature


def _forwarding(cls: Any) -> Any:
    """An `__init__` for a class that has none of its own, to be signed."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
        super(cls, self).__init__(*args, **options)

    __init__.__doc__ = "See the class."
    __init__.__qualname__, __init__.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    cls.__init__ = __init__
    return __init__


def _named(init: Any) -> dict[str, inspect.Parameter]:
    """The arguments of an `__init__` that have names, with their types."""
    try:
        hints = typing.get_type_hints(init)
    except Exception:  # A name that cannot be found yet: the annotations stay as they are written.
        hints = {}
    return {
        name: p.replace(annotation=hints.get(name, p.annotation))
        for name, p in inspect.signature(init).parameters.items()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
