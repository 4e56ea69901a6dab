"""Compare neurons: the same network and recipe, over seeds, for each neuron."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from neurodyn.comparison.arguments import refuse_own
from neurodyn.comparison.contender import Contender
from neurodyn.comparison.folder import finished_runs, is_finished
from neurodyn.comparison.jobs.cluster import Cluster, on_cluster
from neurodyn.comparison.jobs.failures import Failure, told
from neurodyn.comparison.jobs.local import check_jobs, side_by_side
from neurodyn.comparison.jobs.task import Task, quiet, threads_set
from neurodyn.comparison.lock import in_turn
from neurodyn.comparison.progress import Display, Row, make_display
from neurodyn.comparison.run import Run
from neurodyn.comparison.tables import write_report
from neurodyn.errors import unknown
from neurodyn.training.allowed import named


def run_comparison(
    recipe: Sequence[str],
    neurons: Sequence[str],
    seeds: int | Sequence[int],
    folder: Path,
    *,
    only: str | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    cluster: Cluster | None = None,
) -> str:
    """Train every neuron with every seed; write table and pictures; return the table.

    Runs that are finished in `folder` are kept, and interrupted ones continue. Several processes
    can work in one folder: each takes runs that no other is at. A run that was made with other
    settings is an error: nothing is overwritten. The table has all runs in the folder, those of
    other comparisons too. A run whose numbers stop being finite counts as finished: it is
    named under the table with the reason, and the comparison continues.

    Results depend on the number of threads, in their last digits. With `jobs` each run has one
    thread, so they are the same for any number of jobs.

    Args:
        recipe: command-line arguments of a recipe, such as `["--config", "digits"]`.
        neurons: contenders, as `Contender` reads them.
        seeds: number of seeds, 0, 1, ...; or the seeds.
        folder: run folder.
        only: a contender and a seed, `lif/3`: that run alone.
        jobs: how many runs are trained at a time, each in a process of its own; 1 for one after the
            other in this process.
        threads: PyTorch's threads of a run; by default 1 with `jobs` or `cluster`, and without as
            many as this process has.
        cluster: where the runs are sent to. The folder has to be one that all its machines see.
    """
    if jobs is not None and cluster is not None:
        raise ValueError("jobs: a cluster runs as many jobs as it likes; expected none")
    if jobs is not None or cluster is not None:
        threads = threads or 1
    check_jobs(jobs or 1, 1 if cluster else threads or 1)
    tasks, epochs, together = _planned(recipe, neurons, seeds, folder, only, threads)
    if together and (cluster or (jobs or 1) > 1):
        raise ValueError(
            f"{'cluster' if cluster else 'jobs'}: the processes of a run on several devices start "
            "together; expected neither. Start one run by its name: --only NEURON/SEED"
        )
    failed: list[Failure] = []
    runs = [(task.label, epochs[task.neuron]) for task in tasks]
    # All processes of a run on several devices come here.
    display = Display(runs) if getattr(rank_zero_only, "rank", 0) else make_display(runs)
    with quiet(), display:
        if cluster is None and (jobs or 1) == 1:
            with threads_set(threads):
                _one_by_one(tasks, display.rows, together=together)
        else:
            left = _unfinished(tasks, display.rows)
            rest, rows = [task for task, _ in left], [row for _, row in left]
            if cluster:
                failed = on_cluster(rest, rows, cluster, folder)
            else:
                failed = side_by_side(rest, rows, jobs or 1)
    if failed:
        if finished_runs(folder):
            write_report(folder)
        raise ChildProcessError(
            f"{len(failed)} of {len(tasks)} runs failed; the same command tries them again, and "
            f"keeps the others:\n{told(failed)}"
        )
    return write_report(folder)


def _planned(
    recipe: Sequence[str],
    neurons: Sequence[str],
    seeds: int | Sequence[int],
    folder: Path,
    only: str | None,
    threads: int | None,
) -> tuple[list[Task], dict[str, int], bool]:
    """The runs, checked; the epochs of each contender; whether a run takes several devices."""
    refuse_own(recipe)
    if not neurons:
        raise ValueError("neurons: expected at least one")
    numbers = list(range(seeds) if isinstance(seeds, int) else seeds)
    if not numbers or min(numbers) < 0:
        got = seeds if isinstance(seeds, int) else numbers
        raise ValueError(f"seeds: expected at least 1, got {got}")
    contenders = {text: Contender.parse(text) for text in neurons}
    if len({contender.folder for contender in contenders.values()}) < len(neurons):
        raise ValueError(f"neurons: expected different ones, got {', '.join(neurons)}")
    if only is not None:
        text, seed = _chosen(only, contenders)
        contenders, numbers = {text: contenders[text]}, [seed]
    epochs, together = {}, False
    with quiet():
        for text, contender in contenders.items():
            # Before any training, or a mistake in the last contender would show after hours.
            first = Run(contender, numbers[0], recipe, folder)
            first.check()
            epochs[text] = first.epochs
            together |= first.cli.trainer.world_size > 1
    modules = tuple(module.__name__ for module in named())
    tasks = [
        Task(tuple(recipe), text, seed, folder, modules, threads)
        for text in contenders
        for seed in numbers
    ]
    return tasks, epochs, together


def _chosen(only: str, contenders: dict[str, Contender]) -> tuple[str, int]:
    """The contender and the seed of `--only`."""
    name, _, seed = only.rpartition("/")
    seed = seed.removeprefix("seed-")
    if not name or not seed.isdecimal():
        raise ValueError(f"only: expected a neuron and a seed, such as lif/3, got {only!r}")
    for text, contender in contenders.items():
        if name in (text, contender.label, contender.folder):
            return text, int(seed)
    raise unknown("only", name, [contender.label for contender in contenders.values()])


def _unfinished(tasks: Sequence[Task], rows: Sequence[Row]) -> list[tuple[Task, Row]]:
    """The runs that need a process. Finished ones are checked here."""
    left = []
    for task, row in zip(tasks, rows, strict=True):
        if is_finished(task.home):
            task.run().finish(row)
            row.ends()
        else:
            left.append((task, row))
    return left


def _one_by_one(tasks: Sequence[Task], rows: Sequence[Row], *, together: bool) -> None:
    """Train runs in this process."""
    homes = [task.home for task in tasks]
    turns = in_turn(homes, together=together, waiting=lambda index: rows[index].waits())
    with closing(turns):
        for index in turns:
            rows[index].starts()
            tasks[index].run().finish(rows[index])
            rows[index].ends()
