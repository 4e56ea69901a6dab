"""A contender of a comparison: a neuron or gated cell and its options, written as one word."""

from __future__ import annotations

import re
from dataclasses import dataclass

from neurodyn.errors import unknown
from neurodyn.layers import GatedCell
from neurodyn.neurons import SpikingLayer
from neurodyn.training.names import neuron_names

NEURON = "--model.network.init_args.neuron"
CELL = "--model.network.init_args.cell"
RECIPE = ("model.", "data.", "trainer.")


@dataclass(frozen=True)
class Contender:
    """A neuron in a comparison, or a gated cell if the network is made of those.

    It is written `lnm` or, with options, `lnm:surrogate=Rectangle:surrogate.width=derived`. Options
    that all neurons share apply as the recipe sets them, unless the contender overrides them. An
    option that begins with `model.`, `data.` or `trainer.` belongs to the recipe, and applies to
    this contender alone: `lif:model.timesteps=1`. A label in front names the contender in tables
    and pictures: `short@lif:model.timesteps=1`.
    """

    label: str
    cls: type[SpikingLayer | GatedCell]
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Read a contender. An unknown name or a malformed option is an error."""
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
        """The arguments to add to the command line of a recipe."""
        path = f"{self.cls.__module__}.{self.cls.__qualname__}"
        setting = CELL if issubclass(self.cls, GatedCell) else NEURON
        return [
            f"{setting}={path}",
            *(f"--{o}" if o.startswith(RECIPE) else f"{setting}.{o}" for o in self.options),
        ]
