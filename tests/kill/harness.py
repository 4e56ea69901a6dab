"""Forks trainings, kills them at random moments, resumes them, and compares the weights.

The parent has done the imports and trains nothing itself: a fork would inherit its threads.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from neurodyn.cli import main
from neurodyn.comparison.compare import run_comparison
from neurodyn.training.recipe import Recipe

SETTINGS = [
    "--config=digits",
    "--trainer.max_epochs=3",
    "--data.limit=160",
    "--data.validation=40",
    "--data.batch_size=24",
    "--data.augment.crop=1",
    "--model.network.widths=[4,6]",
    "--model.network.dropout=0.5",
    "--last_checkpoint.minutes=0",
]
"""Five steps per epoch, with a checkpoint after each."""

Work = Callable[[Path], None]
CHECKPOINTS = ("best.ckpt", "last.ckpt")


def compare(folder: Path) -> None:
    """Train two runs of a comparison."""
    run_comparison(SETTINGS, ["lif", "lnm:degree=2"], 1, folder)


def fit(folder: Path) -> None:
    """Train a recipe, from its last checkpoint if there is one."""
    place = [f"--last_checkpoint.folder={folder}", f"--checkpoint.dirpath={folder}"]
    quiet = ["--trainer.enable_progress_bar=false", f"--trainer.logger.save_dir={folder}"]
    last = folder / "last.ckpt"
    resume = [f"--ckpt_path={last}"] if last.is_file() else []
    status = main(["fit", *SETTINGS, *place, *quiet, *resume])
    if status:
        raise SystemExit(status)


WORK: dict[str, Work] = {"compare": compare, "fit": fit}


def started(work: Work, folder: Path) -> int:
    """The process id of a fork that does some work in a folder; its output goes to a file there."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    log = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        work(folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(child: int, folder: Path) -> None:
    """Wait for a fork; an error if it failed."""
    _, status = os.waitpid(child, 0)
    if status:
        raise AssertionError(f"status {status}\n{(folder / 'output.txt').read_text()[-3000:]}")


def killed(work: Work, folder: Path, after: float) -> bool:
    """Whether a fork was killed after some seconds; it may have ended before."""
    child = started(work, folder)
    end = time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, (folder / "output.txt").read_text()[-3000:]
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def same(one: Path, two: Path) -> None:
    """An error if checkpoints or results in two folders differ."""
    paths = [p.relative_to(one) for p in one.rglob("*.ckpt") if p.name in CHECKPOINTS]
    assert paths
    for path in paths:
        first, second = (torch.load(f / path, weights_only=True) for f in (one, two))
        assert first["global_step"] == second["global_step"], path
        for name, weight in first["state_dict"].items():
            assert torch.equal(weight, second["state_dict"][name]), (path, name)
    for path in one.rglob("result.json"):
        first, second = (json.loads((f / path.relative_to(one)).read_text()) for f in (one, two))
        for key in ("curve", "score", "spikes"):
            assert first[key] == second[key], (path, key)


def unbroken(work: Work, folder: Path) -> float:
    """The seconds of work that is not killed."""
    begin = time.monotonic()
    ended(started(work, folder), folder)
    return time.monotonic() - begin


def pair(folder: Path, after: float) -> None:
    """Two processes in one run folder; one is killed, and the other does the rest."""
    other = started(compare, folder)
    killed(compare, folder, after)
    ended(other, folder)


def campaign(kills: int, folder: Path, seed: int) -> Counter[str]:
    """Kill until there were so many kills; each training is killed up to four times.

    Returns:
        Counts of kills for each command, of files left half-written, of pairs of processes of which
        one was killed, and of trainings that ended equal to the one without a break. A difference
        is an error.
    """
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    # Imports what only a recipe needs, and fills the parser's caches.
    Recipe(SETTINGS, run=False).datamodule.setup()
    seconds = {name: unbroken(work, folder / name / "straight") for name, work in WORK.items()}
    while counts["kills"] < kills:
        name = min(WORK, key=lambda name: counts[f"kills of {name}"])
        home = folder / name / f"broken-{counts['trainings']}"
        counts["trainings"] += 1
        for _ in range(drawn.randint(1, 4)):
            # Most of the first quarter goes by before training.
            moment = seconds[name] * drawn.uniform(0.25, 1)
            if counts["kills"] == kills or not killed(WORK[name], home, moment):
                break
            counts["kills"] += 1
            counts[f"kills of {name}"] += 1
            counts["files left half-written"] += len(list(home.rglob(".*-????????.*")))
        ended(started(WORK[name], home), home)
        same(folder / name / "straight", home)
        counts["equal"] += 1
        if counts["equal"] % 10 == 1:
            home = folder / "compare" / f"pair-{counts['pairs']}"
            pair(home, seconds["compare"] * drawn.uniform(0.25, 1))
            same(folder / "compare" / "straight", home)
            counts["pairs"] += 1
    return counts
