"""The program of a cell: its trace and its kernels, found again by the cell's structure."""

from __future__ import annotations

import collections
import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from neurodyn.files import MAKING
from neurodyn.step.functions import Functions, split
from neurodyn.step.graph import KernelError, UnsupportedStepError, reachable
from neurodyn.step.trace import Trace, has_hooks, source_name, trace

# What nn.Module keeps for itself; parameters, buffers and submodules are looked at one by one.
# How a cell was made does not matter to what it computes.
_INTERNAL = frozenset(nn.Module().__dict__) - {"training"} | {"made_by"}
_programs: dict[Any, Program | UnsupportedStepError] = {}
_by_key: dict[str, Program] = {}

MANY = 4
"""Changes of one number after which a warning says that each means another trace."""
_last: WeakIdKeyDictionary = WeakIdKeyDictionary()
_warned: set[tuple[type, str]] = set()


class Program:
    """A traced step. `key` names the computation: programs of equal keys compute the same.

    Attributes:
        used: which of the cell's tensors the step depends on, one per parameter of the trace;
            kernels get those alone.
        names: the parameters' names in the cell; `c.0` is an element of `c`.
        kernels: compiled kernels by backend and variant.
        failures: by backend, why it failed to make a kernel.
    """

    def __init__(self, name: str, traced: Trace, names: Sequence[str], dtype: torch.dtype) -> None:
        self.trace, self.dtype = _without_unused(traced), dtype
        traced = self.trace
        self.used = tuple(place for place, _ in traced.sources)
        self.kernels: dict[Any, Any] = {}
        self.failures: dict[str, str] = {}
        self._functions: dict[tuple[bool, ...] | None, tuple[Functions, tuple[int, ...]]] = {}
        self.name = name
        self.names = tuple(source_name(names, source) for source in traced.sources)
        self._cell_names = tuple(names)
        nodes = reachable(
            [*traced.results, *(g for g in traced.vjp if g is not None), *traced.grads]
        )
        order = (
            traced.inputs,
            traced.states,
            traced.parameters,
            traced.grads,
            traced.results,
            traced.vjp,
        )
        text = repr(
            (
                [
                    (n.index, n.op, n.kind, n.name, n.value, [a.index for a in n.args])
                    for n in nodes
                ],
                [[None if n is None else n.index for n in group] for group in order],
                str(dtype),
                self.names,
            )
        )
        self.key = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def bound(
        self, tensors: Sequence[Tensor]
    ) -> tuple[Program | UnsupportedStepError, list[Tensor]]:
        """The program and its parameters, out of the cell's tensors; or why they do not fit."""
        vectors = self.trace.vectors
        if not vectors.lengths:
            return self, [tensors[i] for i in self.used]
        if reason := vectors.misfit(self._cell_names, tensors):
            return UnsupportedStepError(f"step: {reason}"), []
        elements = {i: tensors[i].unbind(0) for i in vectors.lengths}
        sources = self.trace.sources
        return self, [tensors[i] if e is None else elements[i][e] for i, e in sources]

    def functions(self, wanted: tuple[bool, ...] | None) -> tuple[Functions, tuple[int, ...]]:
        """The functions for these gradients, and which parameters they use."""
        if wanted not in self._functions:
            functions = split(self.trace, wanted)
            index = {leaf: i for i, leaf in enumerate(self.trace.parameters)}
            self._functions[wanted] = functions, tuple(index[p] for p in functions.parameters)
        return self._functions[wanted]

    def failed(self, backend: str, error: Exception) -> KernelError:
        """The error to raise where a kernel could not be made. Its reason is remembered, so that
        it is not tried again."""
        reason = f"making a kernel of {self.name} failed ({type(error).__name__}: {error})"
        self.failures[backend] = reason
        return KernelError(f"scan: {reason}; backend='reference' needs none")


def _without_unused(traced: Trace) -> Trace:
    """The trace without the parameters that it does not depend on."""
    nodes = set(reachable([*traced.results, *(g for g in traced.vjp if g is not None)]))
    used = [i for i, p in enumerate(traced.parameters) if p in nodes]
    before = len(traced.inputs) + len(traced.states)
    return replace(
        traced,
        parameters=tuple(traced.parameters[i] for i in used),
        sources=tuple(traced.sources[i] for i in used),
        vjp=(*traced.vjp[:before], *(traced.vjp[before + i] for i in used)),
    )


def program_by_key(key: str) -> Program:
    """The program of that key, if it was made in this process."""
    return _by_key[key]


def program_of(
    cell: nn.Module, n_inputs: int, n_states: int, dtype: torch.dtype
) -> tuple[Program | UnsupportedStepError, list[Tensor]]:
    """The program of a cell, or why it has none; and the parameters and buffers that it uses, now.

    The program is looked up by what the trace depends on: the types of the cell's modules, and all
    their attributes except tensors. When one of them has changed, the step is traced again.
    """
    structure, names, tensors = _structure(cell)
    key = (n_inputs, n_states, dtype, structure)
    program = _programs.get(key)
    if program is None:
        with MAKING:
            program = _programs.get(key)
            if program is None:
                _count_changes(cell, structure, tensors)
                named = dict(zip(names, tensors, strict=True))
                program = _programs[key] = _make(cell, named, n_inputs, n_states, dtype)
    return program.bound(tensors) if isinstance(program, Program) else (program, [])


def _make(
    cell: nn.Module, tensors: dict[str, Tensor], n_inputs: int, n_states: int, dtype: torch.dtype
) -> Program | UnsupportedStepError:
    try:
        traced = trace(cell, tensors, n_inputs, n_states, dtype)
    except UnsupportedStepError as error:
        # It is remembered, and its traceback would keep the caller's tensors alive.
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
    program = Program(type(cell).__name__, traced, list(tensors), dtype)
    return _by_key.setdefault(program.key, program)


def _count_changes(cell: nn.Module, structure: tuple[Any, ...], tensors: Sequence[Tensor]) -> None:
    """Warn, once, of a number that is another in every call, as each is a trace of its own.

    A cell may be made for each call, so it is known by its first tensor.
    """
    if not tensors:
        return
    before, changes = _last.get(tensors[0], ((), collections.Counter[str]()))
    if len(before) == len(structure):
        differing = [(a, b) for a, b in zip(before, structure, strict=True) if a != b]
        if all(_is_number(a) and _is_number(b) for a, b in differing):
            changes.update({b[0] for _, b in differing})
    _last[tensors[0]] = structure, changes
    name, count = max(changes.items(), key=itemgetter(1), default=("", 0))
    kind = type(cell)
    if count >= MANY and (kind, name) not in _warned:
        _warned.add((kind, name))
        warnings.warn(
            f"scan: the step of {kind.__name__} has been traced {count + 1} times, as its number "
            f"{name!r} changes. Make it a buffer, which kernels read at every call: "
            f"self.{name} = nn.Buffer(torch.tensor(...)), then self.{name}.fill_(...)",
            RuntimeWarning,
            stacklevel=6,  # The call of `scan`.
        )


def _is_number(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 3 and entry[1] in (int, float)


Path = tuple[str | int, ...]
Numbers = tuple[tuple[Path, float], ...]


def numbers(cell: nn.Module) -> Numbers:
    """The Python numbers that a trace depends on, each with its path of attributes, of modules and
    of objects, and of places in lists and dictionaries."""
    return tuple(_numbers(cell, (), ()))


def _numbers(value: Any, path: Path, around: tuple[int, ...]) -> Iterator[tuple[Path, float]]:
    if type(value) in (int, float):
        yield path, value
    if id(value) in around:
        return
    around = (*around, id(value))
    held: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, nn.Module):
        own = ((k, v) for k, v in vars(value).items() if k not in _INTERNAL)
        held = (*own, *value._modules.items())
    elif isinstance(value, (tuple, list)):
        held = enumerate(value)
    elif isinstance(value, dict):
        held = value.items()
    elif hasattr(value, "__dict__") and not callable(value) and not isinstance(value, Tensor):
        held = vars(value).items()
    for key, inner in held:
        yield from _numbers(inner, (*path, key), around)


def number_at(cell: nn.Module, path: Path) -> Any:
    """The number at a path of `numbers`."""
    value: Any = cell
    for key in path:
        inside = isinstance(value, (tuple, list, dict))
        value = value[key] if inside else getattr(value, str(key))
    return value


def _structure(cell: nn.Module) -> tuple[tuple[Any, ...], list[str], list[Tensor]]:
    """What a trace depends on, hashable; and the tensors, each once, with their names.

    Names are taken here, as another thread may replace a tensor meanwhile.
    """
    found: list[Any] = []
    names: list[str] = []
    tensors: list[Tensor] = []
    seen: dict[int, int] = {}
    todo: list[tuple[str, nn.Module]] = [("", cell)]
    while todo:
        prefix, module = todo.pop()
        found.append(type(module))
        if prefix and has_hooks(module):
            found.append("hooks")
        for name, value in module.__dict__.items():
            if name not in _INTERNAL:
                kind = type(value)
                plain = value if kind in _PLAIN else repr(value) if kind is float else None
                found.append((name, kind, _frozen(value) if plain is None else plain))
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is None or not (tensor.is_floating_point() or tensor.dtype == torch.bool):
                    found.append((name, None))
                    continue
                at = seen.setdefault(id(tensor), len(seen))
                if at == len(tensors):
                    tensors.append(tensor)
                    names.append(prefix + name)
                found.append((name, at, tensor.dtype == torch.bool))
        for name, child in module._modules.items():
            found.append(name)
            if child is not None:
                todo.append((f"{prefix}{name}.", child))
    return tuple(found), names, tensors


# Values that are their own stand-ins: immutable, and equal if they do the same. (Numbers with a
# point are none: 0.0 equals -0.0, and NaN not itself.)
_PLAIN = (bool, int, str, type(None), type, torch.dtype)


def _frozen(value: Any, around: tuple[int, ...] = ()) -> Any:
    """A hashable stand-in that differs whenever the value does.

    `around` are the ids of the objects that hold the value, as an object may hold itself.
    """
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, _PLAIN):
        return (type(value), value)
    if hasattr(value, "as_structure"):  # Its own word for what a trace depends on.
        return (type(value), _frozen(value.as_structure(), around))
    if id(value) in around:
        return ("held", around.index(id(value)))
    around = (*around, id(value))
    if isinstance(value, (tuple, list)):
        return (type(value), *[_frozen(v, around) for v in value])
    if isinstance(value, dict):
        return (dict, *[(_frozen(k), _frozen(v, around)) for k, v in value.items()])
    if hasattr(value, "__dict__") and not callable(value) and not isinstance(value, Tensor):
        return (_Same(value), _frozen(value.__dict__, around))
    return _Same(value)


class _Same:
    """Equal only to itself. It keeps the object alive, so that its id is not used again."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value
