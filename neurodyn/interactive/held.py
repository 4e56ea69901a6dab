"""Objects of this process as classes that a recipe can name.

A recipe names classes by their import path. A function, a data set in memory or a class that is
defined inside a function has none. Such an object is held here under a name, and one of three
classes makes it: `HeldNeuron(features, name=...)`. A run that was made so can be continued and
loaded where the same object is held.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning as L
from torch import Tensor, nn

from neurodyn.data.adapted import adapted
from neurodyn.neurons import LIF, NeuronFactory, SpikingLayer

_held: dict[str, Any] = {}

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def hold(name: str, value: Any, digest: str) -> str:
    """Keep an object; returns the name that it is held by, which changes with its digest."""
    held = f"{name}-{digest}"
    _held[held] = value
    return held


def _found(name: str) -> Any:
    if name not in _held:
        raise ValueError(
            f"name: {name!r} was an object of another Python process and is not here; call "
            "neurodyn.compare with it again, or write it as a class into a module"
        )
    return _held[name]


class HeldNeuron(SpikingLayer):
    """Makes a neuron with a function that is held."""

    def __new__(cls, features: tuple[int, ...] | None = None, *, name: str) -> Any:
        return _found(name)(features)

    def __init__(self, features: tuple[int, ...] | None = None, *, name: str) -> None:
        raise AssertionError("another class is made")


class HeldNetwork(nn.Module):
    """Makes a network with a function that is held, from those of its arguments that it takes: the
    first is the neuron, others are called `shape` and `classes`."""

    def __new__(
        cls,
        name: str,
        neuron: NeuronFactory = LIF,
        shape: tuple[int, ...] = (1, 8, 8),
        classes: int = 10,
    ) -> Any:
        make = _found(name)
        takes = inspect.signature(make).parameters
        given = {"shape": shape, "classes": classes}
        made = make(neuron, **{key: value for key, value in given.items() if key in takes})
        if not isinstance(made, nn.Module):
            raise ValueError(f"network: expected a torch.nn.Module, got {type(made).__name__}")
        if not hasattr(made, "shape"):
            made.shape = shape  # type: ignore[assignment]
        return made

    def __init__(
        self,
        name: str,
        neuron: NeuronFactory = LIF,
        shape: tuple[int, ...] = (1, 8, 8),
        classes: int = 10,
    ) -> None:
        raise AssertionError("another class is made")


class HeldData(L.LightningDataModule):
    """A copy of a data set that is held. Its samples are in memory once."""

    def __new__(cls, name: str) -> Any:
        return copy.copy(_found(name))

    def __init__(self, name: str) -> None:
        raise AssertionError("another class is made")


def code_digest(value: Callable[..., Any]) -> str:
    """Changes with the source of a class or function, and with the arguments of a `partial`. What
    a function takes from around it is not seen."""
    if isinstance(value, partial):
        inner = code_digest(value.func)
        return _digest(f"{inner}{value.args}{sorted(value.keywords.items())}")
    try:
        return _digest(inspect.getsource(value))
    except (OSError, TypeError):
        return _digest(ADDRESS.sub("", repr(value)))


def data_digest(module: L.LightningDataModule) -> str:
    """Changes with the options of a data set, and with its first validation samples."""
    options = {k: v for k, v in vars(module).items() if isinstance(v, str | int | float | bool)}
    data = adapted(module)
    data.prepare_data()
    data.setup("fit")
    loaders = data.val_dataloader()
    batch = next(iter(loaders), ()) if loaders else ()
    numbers = [part.detach().cpu().numpy().tobytes() for part in batch if isinstance(part, Tensor)]
    return _digest(repr(sorted(options.items())), *numbers)


def _digest(*parts: str | bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
    return found.hexdigest()[:8]
