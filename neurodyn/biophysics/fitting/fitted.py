"""A fitted cell: its predictions, scores, and what it becomes in a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from neurodyn.biophysics.fitting.layer import CellLayer
from neurodyn.biophysics.fitting.membrane import Free
from neurodyn.biophysics.fitting.model import Escape, negative_log_likelihood
from neurodyn.biophysics.fitting.scores import (
    Train,
    explained_variance,
    gamma,
    gamma_ceiling,
    md_star,
)
from neurodyn.biophysics.fitting.stored import read_cell, write_cell
from neurodyn.biophysics.fitting.timestep import TIMESTEP
from neurodyn.biophysics.recordings import Recording
from neurodyn.scan import scan

OFFSETS = np.arange(-8.0, 2.01, 0.1)
"""Barriers from which `calibrated` chooses: logarithms of a rate per ms."""


class Score(NamedTuple):
    """How a fitted cell does on a recording."""

    rms: float
    """Voltage error between spikes, with the recorded spikes [mV]."""
    nll: float
    """Negative log-likelihood per recorded spike [nats], rate per sample."""
    gamma: float | None
    """Coincidence factor (within 4 ms) of the prediction with a sharp threshold and each repeat;
    None without spikes."""
    ceiling: float | None
    """That of pairs of repeats. None without repeats."""
    gamma_random: float | None
    """That of predictions that fire at random, as the repeats do."""
    md_star: float | None
    """How alike the random predictions and the repeats are as sets; 1 is alike."""
    explained: float | None
    """Share of the explainable variance, of the prediction with a sharp threshold, as the Allen
    Institute's for its models; None without repeats."""
    spikes: float
    """Predicted spikes per recorded one."""

    def __str__(self) -> str:
        def show(value: float | None) -> str:
            return "-" if value is None else f"{value:.3f}"

        return (
            f"voltage error {self.rms:.2f} mV, {self.nll:.2f} nats per spike, "
            f"gamma {show(self.gamma)} (repeats {show(self.ceiling)}; at random "
            f"{show(self.gamma_random)}), "
            f"Md* {show(self.md_star)}, explained variance {show(self.explained)}, "
            f"{self.spikes:.2f} spikes predicted per recorded one"
        )


class Fitted:
    """A neuron fitted to a recording by `fit`.

    Args:
        model: the fitted parameters.
        options: of the fit, for the record.
        barrier: logarithm of the rate per ms at which the prediction with a sharp threshold fires.
    """

    def __init__(self, model: Escape, options: dict[str, Any], barrier: float = 0.0) -> None:
        self.model, self.options, self.barrier = model.requires_grad_(False), options, barrier

    def calibrated(self, train: Recording) -> Fitted:
        """The same, its sharp threshold where the prediction of `train` is best: by coincidences
        with repeats, or, if no current was repeated, by the number of spikes. The mean over
        neighbours decides, so that a lucky threshold does not."""
        values, repeated = np.zeros(len(OFFSETS)), len(train.repeats) < train.sweeps
        for group in train.repeats:
            runs = self.simulate(train[[group[0]] * len(OFFSETS)], barriers=OFFSETS)
            for i, run in enumerate(runs):
                for k in group:
                    real = train.spikes[k]
                    missed = -abs(len(run) - len(real))
                    values[i] += gamma(run, real, train.duration) if repeated else missed
        smooth = np.convolve(np.pad(values, 2, mode="edge"), np.ones(5) / 5, "valid")
        return Fitted(self.model, self.options, float(OFFSETS[int(smooth.argmax())]))

    def simulate(
        self,
        recording: Recording,
        *,
        barriers: Sequence[float] | np.ndarray[Any, Any] | None = None,
        seed: int | None = None,
    ) -> list[Train]:
        """Spike times [ms] for the currents of a recording, by itself from the first sample's state
        on. One train for each sweep.

        Args:
            recording: its currents; its voltage at the start, and spikes before, give the state.
            barriers: for each sweep, where a sharp threshold lies; `barrier` unless given.
            seed: fire at random, from this seed.
        """
        data = self.model.prepare(self._sampled(recording))
        shape = data.current.shape
        if seed is None:
            given = [self.barrier] * shape[1] if barriers is None else list(barriers)
            rate = torch.tensor(given, dtype=torch.float64).expand(shape)
        else:
            draws = torch.Generator().manual_seed(seed)
            rate = torch.empty(shape, dtype=torch.float64).exponential_(generator=draws).log()
            rate = rate - math.log(self.model.dt)
        with torch.no_grad():
            wall = self.model.barrier(rate)
            start = (
                *self.model.start(data),
                torch.zeros(shape[1], dtype=torch.float64),
                *data.a[0].T,
                *data.b[0].T,
            )
            (s, _), _, _ = scan(
                Free(self.model, self.model.dt), (self.model.drive(data), wall), start, final=False
            )
        rows = (np.nonzero(s[:, k].numpy())[0] for k in range(shape[1]))
        return [at.astype(np.float64) * self.model.dt for at in rows]

    def predict(self, recording: Recording) -> tuple[Any, Any]:
        """The voltage [mV] with the recorded spikes, and the rate of spikes [1/ms], (T, sweeps)."""
        with torch.no_grad():
            _, rate, voltage = self.model.run(self.model.prepare(self._sampled(recording)))
        return voltage.numpy(), rate.exp().numpy() / self.model.dt

    def score(self, test: Recording, runs: int = 50) -> Score:
        """Scores on a recording.

        Args:
            test: the recording.
            runs: predictions at random for each sweep's current.
        """
        test = self._sampled(test)
        data = self.model.prepare(test)
        with torch.no_grad():
            _, rate, voltage = self.model.run(data)
            error = ((voltage - data.voltage) ** 2 * data.quiet).sum() / data.quiet.sum()
            nll = float(negative_log_likelihood(rate, data))
        sharp = self.simulate(test)
        found: dict[str, list[float | None]] = {}
        for group in test.repeats:
            real = [test.spikes[k] for k in group]
            if not any(map(len, real)):
                continue
            copies = test[[group[i % len(group)] for i in range(runs)]]
            random = self.simulate(copies, seed=0)
            values = {
                "gamma": _mean([gamma(sharp[k], r, test.duration) for k in group for r in real]),
                "ceiling": gamma_ceiling(real, test.duration),
                "gamma_random": _mean([gamma(m, r, test.duration) for m in random for r in real]),
                "md_star": md_star(random, real),
                "explained": explained_variance([sharp[k] for k in group], real, test.duration),
            }
            for name, value in values.items():
                found.setdefault(name, []).append(value)
        names = ("gamma", "ceiling", "gamma_random", "md_star", "explained")
        count = max(sum(map(len, test.spikes)), 1)
        return Score(
            rms=float(error.sqrt()),
            nll=nll,
            **{name: _mean(found.get(name, [])) for name in names},
            spikes=sum(map(len, sharp)) / count,
        )

    def neuron(self, dt: float = TIMESTEP, **options: Any) -> CellLayer:
        """What makes layers of this cell for a network: see `RecordedNeuron`.

        Args:
            dt: how many milliseconds a timestep of the network stands for.
            **options: of the layer's neurons, such as `surrogate`, `learn`.
        """
        return CellLayer(self.model, dt, options)

    def flow(self, millivolts: Any) -> Any:
        """`F(u)`: how fast the membrane moves without input [mV/ms], at potentials [mV]."""
        from neurodyn.biophysics.fitting.membrane import moved

        model = self.model
        origin, scale = model.potentials
        u = (torch.as_tensor(millivolts).double() - origin) / scale
        rest = [v.to(u.dtype).expand_as(u) for v in model.neuron.initial_state()[1:]]
        with torch.no_grad():
            after = moved(model.neuron, model.log_share.exp(), torch.zeros_like(u), (u, *rest))
            return ((after[0] - u) * scale / model.dt).numpy()

    def save(self, path: str | Path) -> Path:
        """Write the cell to a `.json` file."""
        return write_cell(self.model, self.options, self.barrier, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Fitted:
        """A cell that `save` wrote. No code of the file is run: it holds numbers, and the name of a
        neuron of the library."""
        return cls(*read_cell(Path(path)))

    def _sampled(self, recording: Recording) -> Recording:
        recording = recording.coarser(self.model.dt)
        if abs(recording.dt / self.model.dt - 1) > 1e-6:
            raise ValueError(
                f"recording: expected samples at {self.model.dt:g} ms or a fraction of that, as "
                f"the cell was fitted, got {recording.dt:g} ms"
            )
        return recording

    def __repr__(self) -> str:
        model = self.model
        rest, scale = model.potentials
        return (
            f"Fitted {type(model.neuron).__name__}: rest {rest:.1f} mV, threshold "
            f"{model.threshold:.1f} mV, reset {rest + scale * float(model.reset):.1f} mV for "
            f"{model.refractory:g} ms, escape width {scale * float(model.log_width.exp()):.2f} mV"
        )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
