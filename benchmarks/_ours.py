"""Our contenders of `benchmarks.neurons`: by their kernels, by the loop, and all steps at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from benchmarks._peers import LONG, Contender
from neurodyn.layers import Delayed
from neurodyn.neurons import ALIF, LIF, LNM, QIF, CubaLIF, Modal, MultiTimescale, Neuron
from neurodyn.surrogate import ArcTan

DELAYS = 10
"""Lags of the delayed neuron; each has a weight for every neuron."""


def neurons(kinds: dict[str, Callable[..., Neuron]], label: str, backend: str) -> list[Contender]:
    return [
        Contender(f"{label}{name}", lambda make=make: make(surrogate=ArcTan(), backend=backend))
        for name, make in kinds.items()
    ]


def ours(features: tuple[int, ...]) -> list[Contender]:
    kinds = {"LIF": LIF, "QIF": QIF, "LNM, degree 3": LNM, "ALIF, 2 states": ALIF}
    kinds |= {"CubaLIF": CubaLIF, "MultiTimescale": MultiTimescale}
    each = {"LIF": LIF, "LNM": LNM, "CubaLIF": CubaLIF, "MultiTimescale": MultiTimescale}
    own = {f"{name}, per neuron": partial(n, features, per="neuron") for name, n in each.items()}
    neuron = partial(LIF, surrogate=ArcTan())
    delayed = Contender(
        f"neurodyn LIF, {DELAYS} delays per neuron",
        lambda: Delayed(features, neuron=neuron, order=DELAYS),
    )
    return [*neurons(kinds | own, "neurodyn ", "auto"), delayed]


def loops() -> list[Contender]:
    return neurons({"LIF": LIF, "LNM": LNM}, "plain loop, ", "reference")


def compiled_loops() -> list[Contender]:
    return [
        Contender(
            loop.name.replace("plain loop", "torch.compile of the loop"),
            lambda loop=loop: torch.compile(loop.make()),
            longest=LONG - 1,
        )
        for loop in loops()
    ]


def linear(features: tuple[int, ...], *, compiled: bool) -> list[Contender]:
    """A kernel for scale; two modes per neuron by their kernel, and with all steps at once."""
    two = {"Modal, 2 modes": partial(Modal, features, tau=[20.0, 200.0], period=[10.0, 100.0])}
    at_once = neurons(two, "all steps at once, ", "parallel")
    found = [*neurons({"LNM, degree 3": LNM, **two}, "neurodyn ", "auto"), *at_once]
    if compiled:
        name, make = f"torch.compile of {at_once[0].name}", at_once[0].make
        found.append(Contender(name, lambda: torch.compile(make())))
    return found
