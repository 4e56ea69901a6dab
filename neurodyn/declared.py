"""Modules whose quantities are declared on their class: how those are stored, shown and signed."""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neurodyn.learned import Learned, Shape

Learn = bool | Sequence[str]


def shape_of(given: Any) -> Shape:
    """The granularity of a part that is made before its neuron: that of its values."""
    return tuple(given.shape) or (1,) if isinstance(given, Tensor) else (1,)


class Vector(nn.Module):
    """The numbers of a vector, each of its module's granularity; buffers unless they are learned."""

    def __init__(self, numbers: Sequence[Tensor], *, learn: bool) -> None:
        super().__init__()
        self.count = len(numbers)
        for i, number in enumerate(numbers):
            if learn:
                self.register_parameter(str(i), nn.Parameter(number.contiguous()))
            else:
                self.register_buffer(str(i), number.contiguous())

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Tensor:
        place = range(self.count)[i]
        number: Tensor = getattr(self, str(place))
        return number

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(self.count))

    def extra_repr(self) -> str:
        return f"{self.count} numbers"


class Declared(nn.Module):
    """A module whose quantities are declared on its class.

    Before they start, its `__init__` may set their granularity, the shape of their values, and what
    to learn: True trains what is declared to be learned, False nothing, names just those.
    """

    declared: ClassVar[Mapping[str, Learned]] = {}
    """The class's quantities by name."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Learned)}
        inherited = {n: q for n, q in cls.declared.items() if n in own or n not in vars(cls)}
        cls.declared = {**inherited, **own}
        _document(cls, own)
        _sign(cls)

    # Set on the instance only where they differ: a cell's attributes are looked at at every call.
    _granularity: Shape = (1,)
    _learn: Learn = True
    _own: Mapping[str, Learned] = MappingProxyType({})
    _pairs: Mapping[str, tuple[float, float]] = MappingProxyType({})

    @property
    def declarations(self) -> dict[str, Learned]:
        """The instance's quantities by name: the class's, or those that were given instead."""
        return {**type(self).declared, **self._own}

    def __setattr__(self, name: str, value: Any) -> None:
        # nn.Module would take the name for that of a parameter or buffer, and refuse a number.
        if name in type(self).declared and not isinstance(value, nn.Parameter):
            self.start(name, value)
        else:
            super().__setattr__(name, value)

    def learns(self, name: str, default: bool) -> bool:
        """Whether a quantity is to be trained."""
        return default and self._learn if isinstance(self._learn, bool) else name in self._learn

    def start(self, name: str, given: Any, declaration: Learned | None = None) -> None:
        """Store where a quantity starts, or let it start again.

        Args:
            name: of the quantity.
            given: as for the constructor; None is the declaration's default.
            declaration: of a quantity that the class does not declare.
        """
        if isinstance(given, Learned):
            self._own = {**self._own, name: given}
            given = None
        declaration = declaration or self._own.get(name) or type(self).declared[name]
        given = declaration.default if given is None else given
        if given is declaration.default and isinstance(given, str):
            given = getattr(self, given).detach()
        if isinstance(given, tuple):
            self._pairs = {**self._pairs, name: given}
        learn = self.learns(name, declaration.learn)
        key = f"raw_{name}" if learn and declaration.link else name
        if declaration.vector:
            stored = [self._stored(declaration, name, one, learn) for one in given]
            self.register_module(key, Vector(stored, learn=learn))
        else:
            self._store(key, self._stored(declaration, name, given, learn), learn)

    def _stored(self, declaration: Learned, name: str, given: Any, learn: bool) -> Tensor:
        value = declaration.tensor(name, given, self._granularity, learn=learn)
        raw = declaration.unlinked(value) if learn else value
        like = torch.empty(0)  # of the default dtype and device
        return raw.to(like.device, like.dtype, copy=True)

    def _store(self, key: str, value: Tensor, learn: bool) -> None:
        known = self._parameters.get(key) if learn else self._buffers.get(key)
        if known is not None and known.shape == value.shape and not known.is_meta:
            with torch.no_grad():  # in place: an optimiser holds it
                known.copy_(value)
        elif learn:
            self.register_parameter(key, nn.Parameter(value.contiguous()))
        else:
            self.register_buffer(key, value.contiguous())

    def adopted(self, granularity: Shape) -> Declared:
        """A copy whose quantities have another granularity: broadcast from this one's, or drawn."""
        twin = copy.deepcopy(self)
        if granularity != twin._granularity:
            twin._granularity = granularity
        for held in (twin._parameters, twin._buffers):
            for name, tensor in held.items():
                if tensor is None:
                    continue
                try:
                    wide = tensor.detach().expand(granularity).clone()
                except RuntimeError:
                    raise ValueError(
                        f"expected {name.removeprefix('raw_')} as one number or of a shape that "
                        f"broadcasts to {granularity}, got {tuple(tensor.shape)}"
                    ) from None
                held[name] = nn.Parameter(wide) if name in self._parameters else wide  # type: ignore[assignment]
        for name, pair in self._pairs.items():
            twin.start(name, pair)
        return twin

    def shown(self) -> str:
        """The declared values, for `repr`."""
        return ", ".join(
            f"{name}={_shown(getattr(self, name))}{'' if self._fixed(name) else ' (learned)'}"
            for name in type(self).declared
        )

    def _fixed(self, name: str) -> bool:
        keys = name, f"raw_{name}"
        held = [*map(self._parameters.get, keys)]
        held += [n for key in keys for n in getattr(self._modules.get(key), "parameters", tuple)()]
        return not any(number is not None and number.requires_grad for number in held)


def _shown(value: Any) -> str:
    """A value in a few characters: a number, or the ends of what many elements have."""
    if not isinstance(value, Tensor):
        return f"[{', '.join(map(_shown, value))}]"
    if value.is_meta:
        return str(tuple(value.shape))
    low, high = value.min().item(), value.max().item()
    return f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"


def _document(cls: type, own: Mapping[str, Learned]) -> None:
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


def _sign(cls: type[Declared]) -> None:
    """Give the class's `__init__` the signature that its declarations make, for `help` and the
    command line."""
    init = vars(cls).get("__init__")
    inherited = _named(super(cls, cls).__init__)
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
    merged = {**inherited, **declared, **explicit}
    signature = inspect.Signature(sorted(merged.values(), key=lambda p: p.kind))
    init.__signature__ = signature  # type: ignore[attr-defined]


def _forwarding(cls: type[Declared]) -> Any:
    """An `__init__` for a class that has none of its own, to be signed."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
        super(cls, self).__init__(*args, **options)

    __init__.__doc__ = "See the class."
    __init__.__qualname__, __init__.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    cls.__init__ = __init__  # type: ignore[method-assign]
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
