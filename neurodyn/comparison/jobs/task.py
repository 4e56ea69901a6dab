"""A run in words that another process understands, and how a process works on it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.lock import in_turn
from neurodyn.comparison.progress import Watch
from neurodyn.comparison.run import Run, run_folder
from neurodyn.training.allowed import allow


@dataclass(frozen=True)
class Task:
    """A contender and a seed of a comparison.

    Args:
        recipe: command-line arguments of the recipe.
        neuron: the contender, as `Contender` reads it.
        seed: of the run.
        folder: of the comparison.
        modules: the user's, whose classes may be named.
        threads: of PyTorch; None for as many as the process has.
    """

    recipe: tuple[str, ...]
    neuron: str
    seed: int
    folder: Path
    modules: tuple[str, ...] = ()
    threads: int | None = None

    @property
    def contender(self) -> Contender:
        """The contender."""
        return Contender.parse(self.neuron)

    @property
    def label(self) -> str:
        """The run in words."""
        return f"{self.contender.label} seed {self.seed}"

    @property
    def home(self) -> Path:
        """The folder of the run."""
        return run_folder(self.folder, self.contender, self.seed)

    def run(self) -> Run:
        """The run."""
        return Run(self.contender, self.seed, self.recipe, self.folder)

    def work(self, watch: Watch) -> None:
        """Train and test as soon as no other process is at the run. For a process of its own."""
        for module in self.modules:
            allow(module)
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        turn = in_turn([self.home], together=False, waiting=lambda _: watch.waits())
        with quiet(), closing(turn) as mine:
            for _ in mine:
                self.run().finish(watch)


@contextmanager
def threads_set(number: int | None) -> Iterator[None]:
    """While this lasts, PyTorch has so many threads; None for as many as it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's banners and tips, which every run would repeat."""
    names = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning")
    levels = [(log, log.level) for log in map(logging.getLogger, names)]
    for log, _ in levels:
        log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for log, level in levels:
                log.setLevel(level)
