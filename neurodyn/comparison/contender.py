"""A contender of a comparison: a neuron or gated cell and its options, written as one word."""

from __future__ import annotations

import re
from dataclasses import dataclass

from neurodyn.comparison.arguments import CELL, NEURON, refuse_own
from neurodyn.layers import GatedCell
from neurodyn.neurons import Neuron, SpikingLayer
from neurodyn.training.names import find_neuron

RECIPE = ("model.", "data.", "trainer.")
FROZEN, LEARN_NOTHING = "frozen", "learn=false"


@dataclass(frozen=True)
class Contender:
    """A neuron in a comparison, or a gated cell if the network is made of those.

    It is written `lnm` or, with options, `lnm:surrogate=Rectangle:surrogate.width=derived`. A
    neuron of the user's module goes by its import path: `mine.TwoState:per=neuron`. Options that
    all neurons share apply as the recipe sets them, unless the contender overrides them. An
    option that begins with `model.`, `data.` or `trainer.` belongs to the recipe, and applies to
    this contender alone: `lif:model.timesteps=1`. `planar:frozen` learns the weights alone, with
    the dynamics as they start: what it adds to learn them is seen beside `planar`. A label in front
    names the contender in tables and pictures: `short@lif:model.timesteps=1`.
    """

    label: str
    cls: type[SpikingLayer | GatedCell]
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, setting: str = "neurons") -> Contender:
        """Read a contender. An unknown name or a malformed option is an error.

        Args:
            text: the contender as it is written.
            setting: what to call it in errors.
        """
        label, given, rest = text.partition("@")
        if given and not (label and rest):
            raise ValueError(f"{setting}: expected label@name:option=value, got {text!r}")
        name, *options = (rest if given else text).split(":")
        for option in options:
            if "=" not in option and option != FROZEN:
                raise ValueError(
                    f"{setting}: expected name:option=value, got {option!r} in {text!r}"
                )
        name, neuron = find_neuron(name, setting)
        if FROZEN in options and not issubclass(neuron, Neuron):
            raise ValueError(
                f"{setting}: only the dynamics of a neuron are frozen, got {text!r}; in a layer "
                "around one, write neuron.learn=false"
            )
        contender = cls(label if given else ":".join([name, *options]), neuron, tuple(options))
        refuse_own(contender.arguments()[1:])
        return contender

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
            *(
                f"--{option}" if option.startswith(RECIPE) else f"{setting}.{option}"
                for option in (LEARN_NOTHING if o == FROZEN else o for o in self.options)
            ),
        ]
