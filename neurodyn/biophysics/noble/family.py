"""Families: many models of one kind of cell, known by where and how they begin to fire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from neurodyn.biophysics.cell import Cell
from neurodyn.biophysics.noble import firing
from neurodyn.biophysics.noble.stimulus import Steps
from neurodyn.biophysics.noble.traces import Traces, make_traces
from neurodyn.biophysics.simulate import simulate, spike_times
from neurodyn.errors import check

FEATURES = ("threshold", "slope")
"""What a model is known by: the smallest current that makes it fire [nA], and the slope of its rate
against current there [Hz/nA]."""

LONG = 400.0
"""Length of the step of current that features are measured with [ms]."""

Part = Literal["training", "held out"]


class Family:
    """Models that differ in some quantities, drawn evenly from ranges. The last `held_out` of them
    are for tests alone.

    A subclass simulates them (`run`).

    Args:
        ranges: the lowest and the highest value of each quantity.
        models: how many models.
        held_out: how many of them are held out.
        seed: of the draw.
    """

    currents: tuple[float, float] = (0.0, 0.28)
    """Between these [nA] every model begins to fire."""
    step: float = 0.0125
    """Time step of simulations [ms]."""

    def __init__(
        self, ranges: Mapping[str, tuple[float, float]], models: int, held_out: int, seed: int
    ) -> None:
        check("models", models, 1)
        check("held_out", held_out, 0, models - 1)
        self.models, self.held_out, self.seed = models, held_out, seed
        generator = torch.Generator().manual_seed(seed)
        self.quantities: dict[str, Tensor] = {}
        for name, (low, high) in ranges.items():
            share = torch.rand(models, generator=generator, dtype=torch.float64)
            self.quantities[name] = (low + (high - low) * share).float()

    def run(self, models: Tensor, current: Tensor, dt: float, every: int = 1) -> Tensor:
        """The potentials [mV] of models with injected currents, after rest.

        Args:
            models: which ones, `(n,)`.
            current: [nA], `(T, n)`.
            dt: time step [ms].
            every: keep each `every`-th step.

        Returns:
            `(T // every, n)`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define its run")

    def describe(self) -> dict[str, Any]:
        """All that the traces of the family depend on, for the name of their cache."""
        return {name: values.tolist() for name, values in self.quantities.items()}

    def part(self, name: Part) -> Tensor:
        """The numbers of the models to train on, or of those held out."""
        split = self.models - self.held_out
        if name not in ("training", "held out"):
            raise ValueError(f"part: expected 'training' or 'held out', got {name!r}")
        if name == "held out" and not self.held_out:
            raise ValueError("part: the family holds no model out, expected 'training'")
        return torch.arange(split) if name == "training" else torch.arange(split, self.models)

    @cached_property
    def features(self) -> Tensor:
        """`FEATURES` of each model, `(models, 2)`; kept in the cache folder."""
        from neurodyn.data.cache import cached

        settings = {**self.describe(), "step": self.step, "currents": self.currents}
        shape = (self.models, len(FEATURES))
        return cached("features", settings, [], shape, self._features(), np.float32).clone()

    def _features(self) -> Iterator[Any]:
        every = torch.arange(self.models)
        threshold = firing.thresholds(self.spikes, every, *self.currents)
        if threshold.isnan().any():
            which = int(threshold.isnan().nonzero()[0])
            low, high = self.currents
            raise ValueError(
                f"family: model {which} fires at {low:g} nA already, or not at {high:g} nA: "
                "expected one that begins to fire between them"
            )
        slope = firing.slopes(self.spikes, every, threshold, LONG)
        yield from torch.stack([threshold, slope], 1).numpy()

    def spikes(self, models: Tensor, amplitude: Tensor, duration: float = LONG) -> list[Any]:
        """The spike times [ms] of models during steps of current [nA], from the onset on."""
        current = amplitude[None].expand(round(duration / self.step), -1)
        return spike_times(self.run(models, current, self.step), self.step)

    def simulate(
        self,
        stimulus: Steps,
        traces: int,
        dt: float = 0.1,
        *,
        part: Part = "training",
        seed: int = 0,
    ) -> Traces:
        """Traces of models with random steps of current, each model equally often.

        They are kept in the cache folder, in files of 1,000. A simulation that was stopped goes on
        behind the last file.

        Args:
            stimulus: what is injected.
            traces: how many.
            dt: between samples [ms], a multiple of the family's `step`.
            part: of the models.
            seed: of amplitudes and onsets.
        """
        return make_traces(self, stimulus, traces, dt, self.part(part), seed)


class CellFamily(Family):
    """A family of a `Cell`, run by the kernel, or by NEURON one trace at a time.

    Args:
        kind: the cell.
        ranges, models, held_out, seed: as for `Family`.
        simulator: "kernel", or "neuron" for the cells that have a mechanism for it.
    """

    def __init__(
        self,
        kind: type[Cell],
        ranges: Mapping[str, tuple[float, float]],
        models: int = 60,
        held_out: int = 10,
        seed: int = 0,
        simulator: Literal["kernel", "neuron"] = "kernel",
    ) -> None:
        super().__init__(ranges, models, held_out, seed)
        if simulator not in ("kernel", "neuron"):
            raise ValueError(f"simulator: expected 'kernel' or 'neuron', got {simulator!r}")
        self.kind, self.simulator = kind, simulator

    def describe(self) -> dict[str, Any]:
        return {"cell": self.kind.__name__, "simulator": self.simulator, **super().describe()}

    def cell(self, models: Tensor, dt: float) -> Cell:
        """These models side by side."""
        values = {name: value[models] for name, value in self.quantities.items()}
        return self.kind(len(models), dt=dt, learn=False, **values)

    @torch.no_grad()
    def run(self, models: Tensor, current: Tensor, dt: float, every: int = 1) -> Tensor:
        if self.simulator == "neuron":
            from neurodyn.biophysics.noble.point import run_point

            return run_point(self.cell(models, dt), current, every)
        return simulate(self.cell(models, dt), current[:, None, :], every=every)[:, 0]
