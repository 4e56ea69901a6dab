"""Modules whose quantities are declared on their class: how those are stored and shown."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from neurodyn.learned import Learned, Shape
from neurodyn.signed import document, sign

Learn = bool | Sequence[str]
Part = TypeVar("Part", bound="Declared")
Module = TypeVar("Module", bound=nn.Module)


class Vector(nn.Module):
    """The numbers of a vector, each of its module's granularity; buffers if not learned."""

    def __init__(self, numbers: Sequence[Tensor], *, learn: bool) -> None:
        super().__init__()
        self.count, self.learn = len(numbers), learn
        for i, number in enumerate(numbers):
            if learn:
                self.register_parameter(str(i), nn.Parameter(number.contiguous()))
            else:
                self.register_buffer(str(i), number.contiguous())

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int | slice) -> Any:
        place = range(self.count)[i]
        if isinstance(place, range):
            return [self[k] for k in place]
        return getattr(self, str(place))

    def __setitem__(self, i: int, value: Tensor) -> None:
        setattr(self, str(range(self.count)[i]), value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(self.count))

    def extra_repr(self) -> str:
        return f"{self.count} numbers"


class Declared(nn.Module):
    """A module whose quantities are declared on its class.

    Before they start, its `__init__` may set their granularity, the shape of their values, and what
    to learn: True trains what is declared to be learned, False nothing, names just those.
    """

    declared: ClassVar[dict[str, Learned]] = {}
    """The class's quantities by name."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.declared = {}
        for base in reversed(cls.__mro__):  # A later class may declare again, or otherwise.
            for name, value in vars(base).items():
                if isinstance(value, Learned):
                    cls.declared[name] = value
                elif name in cls.declared:
                    del cls.declared[name]
        document(cls, {n: q for n, q in cls.declared.items() if n in vars(cls)})
        sign(cls)

    # Set on the instance only where they differ: a cell's attributes are looked at at every call.
    _granularity: Shape = (1,)
    _learn: Learn = True
    _own: Mapping[str, Learned] = MappingProxyType({})
    _pairs: Mapping[str, tuple[float, float]] = MappingProxyType({})
    """The spreads of a part that is made before its neuron, which draws from them."""

    @property
    def declarations(self) -> dict[str, Learned]:
        """The instance's quantities by name: the class's, or those that were given instead."""
        return {**type(self).declared, **self._own}

    def __setattr__(self, name: str, value: Any) -> None:
        # nn.Module would take the name for that of a parameter or buffer, and refuse a number.
        loaded = isinstance(value, nn.Parameter) and name in self._parameters
        if name in type(self).declared and not loaded:
            self.start(name, value.detach() if isinstance(value, nn.Parameter) else value)
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
            declaration, given = given, None
        if declaration is None:
            declaration = self._own.get(name) or type(self).declared[name]
        elif name in type(self).declared:
            self._own = {**self._own, name: declaration}
        given = declaration.default if given is None else given
        if given is declaration.default and isinstance(given, str):
            given = getattr(self, given).detach()
        if isinstance(given, list) and not declaration.vector:
            given = tuple(given)
        learn = self.learns(name, declaration.learn)
        key = f"raw_{name}" if learn and declaration.is_raw else name
        if declaration.vector:
            numbers = [self._stored(declaration, name, one, learn) for one in given]
            self._keep_only(name, key, self._modules)
            known = self._modules.get(key)
            if isinstance(known, Vector) and known.learn == learn and len(known) == len(numbers):
                for i, number in enumerate(numbers):
                    _store(known, str(i), number, learn)
            else:
                self.register_module(key, Vector(numbers, learn=learn))
        else:
            number = self._stored(declaration, name, given, learn)
            self._keep_only(name, key, self._parameters if learn else self._buffers)
            _store(self, key, number, learn)

    def _keep_only(self, name: str, key: str, holder: Any) -> None:
        """Forget where a quantity was stored, except under this key of this holder."""
        held: Any
        for held in (self._parameters, self._buffers, self._modules):
            for other in (name, f"raw_{name}"):
                if held is not holder or other != key:
                    held.pop(other, None)

    def _stored(self, declaration: Learned, name: str, given: Any, learn: bool) -> Tensor:
        value = declaration.tensor(name, given, self._granularity, learn=learn)
        raw = declaration.unlinked(value) if learn else value
        like = torch.empty(0)  # of the default dtype and device
        return raw.to(like.device, like.dtype, copy=True)

    def alone(self, name: str, given: Any) -> None:
        """Start the quantity of a part that is made before its neuron: with the granularity of its
        values, or, for a pair, in the middle until a neuron adopts the part and draws."""
        shape = tuple(getattr(given, "shape", ())) or (1,)
        if shape != self._granularity:
            self._granularity = shape
        if isinstance(given, tuple | list):
            self._pairs = {**self._pairs, name: tuple(given)}
        self.start(name, given)

    def adopted(self: Part, granularity: Shape) -> Part:
        """A copy whose quantities have another granularity: broadcast from this one's, or drawn."""
        twin = copy.deepcopy(self)
        if granularity != twin._granularity:
            twin._granularity = granularity
        for name, quantity in self.declarations.items():
            pair = self._pairs.get(name)
            if pair is not None and self._is_at(name, pair):
                twin.start(name, pair)
            else:
                for holder, key in _places(twin, name, quantity):
                    _widen(holder, key, name, granularity)
        return twin

    def _is_at(self, name: str, pair: Any) -> bool:
        """Whether a quantity is still where a pair started it."""
        twin = copy.deepcopy(self)
        twin.start(name, pair)
        return bool(torch.equal(getattr(twin, name), getattr(self, name)))

    def shown(self) -> str:
        """The declared values, for `repr`."""
        return ", ".join(
            f"{name}={_shown(getattr(self, name))}{' (learned)' if self._trains(name) else ''}"
            for name in type(self).declared
            if self._started(name)
        )

    def _started(self, name: str) -> bool:
        """Whether a quantity has a value: options may do without one."""
        return any(True for _ in _places(self, name, self.declarations[name]))

    def _trains(self, name: str) -> bool:
        places = _places(self, name, self.declarations[name])
        return any(holder[key].requires_grad for holder, key in places)


def _store(module: nn.Module, key: str, value: Tensor, learn: bool) -> None:
    """Put numbers into a module: in place if they are there, as an optimiser may hold them."""
    known = (module._parameters if learn else module._buffers).get(key)
    if known is not None and known.shape == value.shape and not known.is_meta:
        with torch.no_grad():
            known.copy_(value)
    elif learn:
        module.register_parameter(key, nn.Parameter(value.contiguous()))
    else:
        module.register_buffer(key, value.contiguous())


def _places(module: nn.Module, name: str, quantity: Learned) -> Iterator[tuple[Any, str]]:
    """Where a module holds the numbers of a quantity: dictionaries, and keys of them."""
    for key in (name, f"raw_{name}"):
        part = module._modules.get(key) if quantity.vector else None
        keys = [str(i) for i in range(len(part))] if isinstance(part, Vector) else [key]
        for holder in ((part or module)._parameters, (part or module)._buffers):
            yield from ((holder, at) for at in keys if holder.get(at) is not None)


def shallow(module: Module) -> Module:
    """The module again, to be changed for one call, while other threads use the module itself.
    (`copy.copy` would do, but `torch.compile` does not see through it.)"""
    twin: Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    twin.__dict__["_modules"] = dict(module._modules)
    twin.__dict__["_compiled_call_impl"] = None  # Bound to the module, in a trace.
    return twin


def _widen(holder: dict[str, Any], key: str, name: str, granularity: Shape) -> None:
    number = holder[key]
    try:
        wide = number.detach().expand(granularity).clone()
    except RuntimeError:
        raise ValueError(
            f"expected {name} as one number or of a shape that broadcasts to {granularity}, got "
            f"{tuple(number.shape)}"
        ) from None
    learned = isinstance(number, nn.Parameter)
    holder[key] = nn.Parameter(wide, requires_grad=number.requires_grad) if learned else wide


def _shown(value: Any) -> str:
    """A value in a few characters: a number, or the ends of what many elements have."""
    if not isinstance(value, Tensor):
        return f"[{', '.join(map(_shown, value))}]"
    if value.is_meta:
        return str(tuple(value.shape))
    low, high = value.min().item(), value.max().item()
    return f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"
