"""The traces of a family as a data module, for `neurodyn fit`."""

from __future__ import annotations

import torch
from torch import Tensor

from neurodyn.biophysics.noble.embedding import FEATURES
from neurodyn.biophysics.noble.family import Family
from neurodyn.biophysics.noble.stimulus import Steps
from neurodyn.biophysics.noble.surrogate import as_input
from neurodyn.biophysics.noble.traces import Traces
from neurodyn.data.base import SampleData
from neurodyn.data.samples import Batch
from neurodyn.data.targets import Targets

SEEDS = {"training": 0, "unseen currents": 1, "held-out models": 2}
"""Seeds of the currents of each set of traces."""


class FamilyData(SampleData):
    """Traces of a family of models under random steps of current.

    The training set has the training models. The test set has `tests` traces of the training models
    with other currents, then as many of the models that are held out. A sample is the amplitude
    [nA], the onset [ms], and the features of the model; its target the potential [mV] over time.

    Args:
        family: the models.
        stimulus: what is injected.
        traces: traces for training and validation.
        tests: traces of each test.
        dt: between samples [ms].
        validation: share (below 1) or number of the training traces set aside for validation.
        batch_size: traces per batch.
        split_seed: seed of the choice of validation traces.
    """

    dtypes = (torch.float32,)

    def __init__(
        self,
        family: Family,
        stimulus: Steps = Steps(),  # noqa: B008 - frozen; jsonargparse reads the default
        traces: int = 20_000,
        tests: int = 1_000,
        dt: float = 0.1,
        validation: int | float = 500,
        batch_size: int = 64,
        split_seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, validation=validation, split_seed=split_seed)
        self.family, self.stimulus, self.dt = family, stimulus, dt
        self.traces, self.tests = traces, tests
        self.steps = len(stimulus.times(dt))
        self.shape = (1 + len(FEATURES),)

    @property
    def targets(self) -> Targets:
        return Targets("values", 1, per_step=True, names=("potential",))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (2 + len(FEATURES),)

    def part(self, name: str) -> Traces:
        """The traces of "training", "unseen currents" or "held-out models"."""
        return self.family.simulate(
            self.stimulus,
            self.traces if name == "training" else self.tests,
            self.dt,
            part="held out" if name == "held-out models" else "training",
            seed=SEEDS[name],
        )

    def read(self, train: bool) -> Batch:
        tests = ["unseen currents", *(["held-out models"] if self.family.held_out else [])]
        parts = [self.part(name) for name in (["training"] if train else tests)]
        rows = [
            torch.cat([part.amplitude[:, None], part.onset[:, None], part.features], 1)
            for part in parts
        ]
        return torch.cat(rows), torch.cat([part.V for part in parts])

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        current = self.stimulus.current(samples[:, 0], samples[:, 1], self.dt)
        return as_input(current, samples[:, 2:]), labels
