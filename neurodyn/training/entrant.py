"""An entrant of a comparison: a neuron or gated cell and its options, written in one word."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from neurodyn import layers, neurons
from neurodyn.errors import unknown
from neurodyn.layers import GatedCell
from neurodyn.neurons import Neuron, SpikingLayer

NEURON = "--model.network.init_args.neuron"
CELL = "--model.network.init_args.cell"
RECIPE = ("model.", "data.", "trainer.")


def neuron_names() -> dict[str, type[SpikingLayer | GatedCell]]:
    """Every neuron, every layer around one and every gated cell, by its lower-case name."""
    return {
        key.lower(): value
        for key, value in (vars(neurons) | vars(layers)).items()
        if isinstance(value, type)
        and issubclass(value, SpikingLayer | GatedCell)
        and value not in (SpikingLayer, Neuron, GatedCell)
    }


def shared_options(
    old: type[SpikingLayer | GatedCell], new: type[SpikingLayer | GatedCell]
) -> dict[str, Any]:
    """The options that hold for `new` as for `old`, and their defaults in `old`.

    They are those of `Neuron`, or of `GatedCell`: granularity, threshold, surrogate, what is
    learned. A reset is none of them: it is part of the dynamics, and some equations have their own.
    """
    for base in (Neuron, GatedCell):
        if issubclass(old, base) and issubclass(new, base):
            options = set(inspect.signature(base).parameters) - {"features", "reset"}
            signatures = [inspect.signature(cls).parameters for cls in old.__mro__[-2::-1]]
            given = {p.name: p.default for parameters in signatures for p in parameters.values()}
            return {name: given[name] for name in options}
    return {}


@dataclass(frozen=True)
class Entrant:
    """A neuron in a comparison, or a gated cell where the network is made of those.

    Written `lnm` or, with options, `lnm:degree=5:surrogate=Rectangle:surrogate.width=derived`. What
    the recipe sets of the options that all neurons have holds unless the entrant says otherwise.
    Options that begin with `model.`, `data.` or `trainer.` are the recipe's, for this entrant
    alone: `lif:model.timesteps=1`. A name in front, `short@lif:model.timesteps=1`, stands for all
    of it in tables and pictures.
    """

    label: str
    cls: type[SpikingLayer | GatedCell]
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Entrant:
        """Read an entrant; an unknown name or a malformed option is an error."""
        label, given, rest = text.partition("@")
        if given and not (label and rest):
            raise ValueError(f"neurons: expected label@name:option=value, got {text!r}")
        name, *options = (rest if given else text).split(":")
        known = neuron_names()
        if name.lower() not in known:
            raise unknown("neurons", name, known)
        for option in options:
            if "=" not in option:
                raise ValueError(f"neurons: expected name:option=value, got {option!r} in {text!r}")
        written = label if given else ":".join([name.lower(), *options])
        return cls(written, known[name.lower()], tuple(options))

    @property
    def folder(self) -> str:
        """The label as a file name."""
        return re.sub(r"[^A-Za-z0-9.=_-]+", "+", self.label)

    def arguments(self) -> list[str]:
        """What to add to a recipe's command line."""
        path = f"{self.cls.__module__}.{self.cls.__qualname__}"
        setting = CELL if issubclass(self.cls, GatedCell) else NEURON
        return [
            f"{setting}={path}",
            *(f"--{o}" if o.startswith(RECIPE) else f"{setting}.{o}" for o in self.options),
        ]
