"""Compare neurons: the same network and recipe, over seeds, for each neuron."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tqdm.auto import tqdm

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.lock import in_turn
from neurodyn.comparison.run import Run, run_folder
from neurodyn.comparison.tables import write_report

OURS = ("--seed_everything", "--checkpoint", "--last_checkpoint.folder", "--trainer.logger")
"""Options that a comparison sets itself."""


def run_comparison(recipe: Sequence[str], neurons: Sequence[str], seeds: int, folder: Path) -> str:
    """Train every neuron with every seed; write table and pictures; return the table.

    Runs that are finished in `folder` are kept, and interrupted ones continue. Several processes
    can work in one folder: each takes runs that no other is at. A run that was made with other
    settings is an error: nothing is overwritten. The table has all runs in the folder, those of
    other comparisons too. A run whose numbers stop being finite counts as finished: it is
    named under the table with the reason, and the comparison continues.

    Args:
        recipe: command-line arguments of a recipe, such as `["--config", "digits"]`.
        neurons: contenders, as `Contender` reads them.
        seeds: number of seeds, 0, 1, ...
        folder: run folder.
    """
    for argument in recipe:
        if argument.startswith(OURS):
            raise ValueError(f"{argument.split('=')[0]}: a comparison sets this itself")
    if not neurons:
        raise ValueError("neurons: expected at least one")
    if seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")
    contenders = [Contender.parse(text) for text in neurons]
    if len({contender.folder for contender in contenders}) < len(contenders):
        raise ValueError(f"neurons: expected different ones, got {', '.join(neurons)}")
    together = False
    with _quiet():
        for contender in contenders:
            # Before any training, or a mistake in the last contender would show after hours.
            first = Run(contender, 0, recipe, folder)
            first.check()
            together |= first.cli.trainer.world_size > 1
    runs = [(contender, seed) for contender in contenders for seed in range(seeds)]
    homes = [run_folder(folder, *run) for run in runs]
    with _quiet(), tqdm(unit="epoch", dynamic_ncols=True) as bar:

        def waiting(index: int) -> None:
            contender, seed = runs[index]
            bar.set_description(f"{contender.label} seed {seed} is trained by another process")

        with closing(in_turn(homes, together=together, waiting=waiting)) as turns:
            for contender, seed in (runs[index] for index in turns):
                bar.set_description(f"{contender.label} seed {seed}")
                run = Run(contender, seed, recipe, folder)
                bar.total = len(runs) * run.epochs
                run.finish(bar)
    return write_report(folder)


@contextmanager
def _quiet() -> Iterator[None]:
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
