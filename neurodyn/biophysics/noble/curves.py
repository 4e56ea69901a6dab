"""What a surrogate says of models: when they fire, between models and in ensembles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.biophysics.noble import firing
from neurodyn.biophysics.noble.family import Family
from neurodyn.biophysics.noble.stimulus import Steps
from neurodyn.biophysics.noble.surrogate import Surrogate
from neurodyn.biophysics.simulate import spike_times


def predicted_spikes(
    surrogate: Surrogate, stimulus: Steps, dt: float, features: Tensor, amplitude: Tensor
) -> list[Any]:
    """The spike times [ms] from the onset on that a surrogate predicts for steps of current.

    Args:
        surrogate: trained on steps of `stimulus`.
        stimulus: the onset is its earliest.
        dt: between samples [ms].
        features: of the models, `(n, 2)`.
        amplitude: of the steps [nA], `(n,)`.
    """
    onset = torch.full_like(amplitude, stimulus.start)
    V = surrogate.predict(stimulus.current(amplitude, onset, dt), features)
    during = slice(round(stimulus.start / dt), round((stimulus.start + stimulus.duration) / dt))
    return spike_times(V[during], dt)


class Firing:
    """When models fire in the window of a surrogate: as it predicts, or as a family simulates.

    Curves, thresholds and slopes of the two are about the same steps of current. These are shorter
    than those that features are measured with, so thresholds lie higher.

    Args:
        stimulus: whose step of current it is about.
        dt: between samples [ms].
        surrogate: predicts, for models that are known by their features.
        family: simulates, for models that are known by their numbers.
    """

    def __init__(
        self,
        stimulus: Steps,
        dt: float,
        *,
        surrogate: Surrogate | None = None,
        family: Family | None = None,
    ) -> None:
        if (surrogate is None) == (family is None):
            raise ValueError("surrogate, family: expected one of them")
        self.stimulus, self.dt = stimulus, dt
        self.surrogate, self.family = surrogate, family

    def _respond(self, models: Tensor) -> firing.Respond:
        def respond(rows: Tensor, amplitude: Tensor) -> list[Any]:
            if self.family is not None:
                return self.family.spikes(models[rows], amplitude, self.stimulus.duration)
            assert self.surrogate is not None
            return predicted_spikes(self.surrogate, self.stimulus, self.dt, models[rows], amplitude)

        return respond

    def rates(self, models: Tensor, amplitudes: Tensor) -> Tensor:
        """The curves of rate [Hz] against current [nA], `(amplitudes, models)`.

        Args:
            models: numbers `(n,)` for a family, features `(n, 2)` for a surrogate.
            amplitudes: `(m,)`.
        """
        rows = torch.arange(len(models)).repeat(len(amplitudes))
        every = amplitudes.repeat_interleave(len(models))
        found = firing.rates(self._respond(models), rows, every, self.stimulus.duration)
        return found.reshape(len(amplitudes), len(models))

    def features(self, models: Tensor, low: float = 0.0, high: float = 0.28) -> Tensor:
        """Threshold [nA] and slope [Hz/nA] in the window, `(n, 2)`; NaN for a model that does not
        begin to fire between `low` and `high`."""
        rows, respond = torch.arange(len(models)), self._respond(models)
        threshold = firing.thresholds(respond, rows, low, high)
        known = ~threshold.isnan()
        slope = torch.full_like(threshold, torch.nan)
        if known.any():
            duration = self.stimulus.duration
            slope[known] = firing.slopes(respond, rows[known], threshold[known], duration)
        return torch.stack([threshold, slope], 1)


def between(first: Tensor, second: Tensor, steps: int) -> Tensor:
    """Features on the way from one model to another, `(steps, 2)`, both ends included."""
    share = torch.linspace(0, 1, steps)[:, None]
    return first + share * (second - first)


def ensemble(features: Tensor, models: int, seed: int = 0) -> Tensor:
    """Features of new models from the convex hull of known ones, `(models, 2)`: each a mixture of
    three of them, with weights drawn evenly (Dirichlet).

    Args:
        features: of the training models, `(n, 2)`.
        models: how many to draw.
        seed: of the draw.
    """
    if len(features) < 3:
        raise ValueError(f"features: expected at least 3 models, got {len(features)}")
    generator = torch.Generator().manual_seed(seed)
    picked = torch.rand(models, len(features), generator=generator).argsort(1)[:, :3]
    weights = -torch.rand(models, 3, generator=generator).clamp(min=1e-12).log()
    weights = weights / weights.sum(1, keepdim=True)
    return (features[picked] * weights[..., None]).sum(1)
