"""Many runs on one machine: one after the other, side by side, and with every run killed once.

    neurodyn bench jobs [--seeds 4] [--epochs 80] [--repeats 3]

Each row is the command `neurodyn compare` in a process of its own, from its start to its page. The
rows take turns, and the table has medians: the speed of a machine with neighbours wanders. Two
neurons and four seeds make eight runs. For the rows with kills, the process of every run is killed
once, after a checkpoint that is drawn; for the last, the command itself is killed when half of the
runs are finished, and started again. "equal" compares weights and results with those of one job, to
the bit. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._results import FOLDER, write_page
from tests.kill.harness import same

NEURONS = ("lif", "lnm")
LOOK = 0.05
"""Seconds between looks at the folder: they take time of the cores that the runs share."""


class Killer:
    """Kills what works in a run folder.

    Args:
        folder: of the comparison.
        epochs: of a run.
        runs: kill the process of every run once.
        command: kill the command when so many runs are finished.
    """

    def __init__(self, folder: Path, epochs: int, runs: bool, command: int | None) -> None:
        self.folder, self.runs, self.command = folder, runs, command
        self.drawn, self.epochs = random.Random(0), epochs
        self.seen: dict[Path, int] = {}
        self.left: dict[Path, int] = {}
        self.kills = 0

    def look(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what is due."""
        finished = len(list(self.folder.glob("*/seed-*/result.json")))
        if self.command is not None and finished >= self.command:
            process.send_signal(signal.SIGKILL)
            self.command = None
        if self.runs:
            for checkpoint in self.folder.glob("*/seed-*/last.ckpt"):
                self._count(checkpoint)

    def _count(self, checkpoint: Path) -> None:
        """Count the checkpoints of a run, and kill its process after the one that was drawn."""
        home = checkpoint.parent
        written = checkpoint.stat().st_mtime_ns
        if self.seen.get(home) == written:
            return
        self.seen[home] = written
        left = self.left.setdefault(home, self.drawn.randint(1, max(1, self.epochs - 2)))
        self.left[home] = left - 1
        worker = process_of(home) if left == 1 else None
        if worker and not (home / "result.json").exists():
            os.kill(worker, signal.SIGKILL)
            self.kills += 1


def process_of(home: Path) -> int | None:
    """The process whose output goes into the folder of a run."""
    for link in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if os.readlink(link) == str(home / "output.txt"):
                return int(link.parts[2])
        except OSError:
            continue
    return None


def seconds(command: list[str], killer: Killer) -> float:
    """The wall time of a command, started again for as long as it was killed."""
    begin = time.perf_counter()
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            killer.look(process)
            time.sleep(LOOK)
        if process.returncode == 0:
            return time.perf_counter() - begin
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"status {process.returncode} of {' '.join(command)}")


def ways(options: argparse.Namespace) -> dict[str, tuple[list[str], bool, int | None]]:
    """How the runs are run: arguments, whether each is killed, after how many runs the command."""
    half = len(NEURONS) * options.seeds // 2
    return {
        "one after the other, all cores": ([], False, None),
        "`--jobs 1`": (["--jobs=1"], False, None),
        f"`--jobs {options.jobs}`": ([f"--jobs={options.jobs}"], False, None),
        f"`--jobs {options.jobs}`, every run killed once": (
            [f"--jobs={options.jobs}"],
            True,
            None,
        ),
        f"`--jobs {options.jobs}`, runs and command killed once": (
            [f"--jobs={options.jobs}"],
            True,
            half,
        ),
    }


def measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """For each way to run them: seconds, kills, and whether the results are those of one job."""
    recipe = ["--config=sequential-digits", f"--trainer.max_epochs={options.epochs}"]
    recipe += options.recipe
    found: dict[str, dict[str, Any]] = {}
    for turn in range(options.repeats):
        for number, (name, (how, runs, command)) in enumerate(ways(options).items()):
            home = folder / str(turn) / str(number)
            words = [sys.executable, "-m", "neurodyn", "compare", *recipe, *how]
            words += [f"--neurons={','.join(NEURONS)}", f"--seeds={options.seeds}", f"--out={home}"]
            killer = Killer(home, options.epochs, runs, command)
            row = found.setdefault(name, {"seconds": [], "kills": 0, "equal": None})
            row["seconds"].append(seconds(words, killer))
            row["kills"] += killer.kills
            # All cores may add in another order: that row is there for its time.
            if number:
                row["equal"] = is_same(folder / "0" / "1", home) and row["equal"] is not False
            print(name, row, flush=True)
    return found


def is_same(one: Path, two: Path) -> bool:
    """Whether checkpoints and results in two folders are equal."""
    try:
        same(one, two)
    except AssertionError:
        return False
    return True


def table(found: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown lines."""
    one = found["`--jobs 1`"]["seconds"]
    lines = [
        "| runs | seconds | all turns | x one job | processes killed | equal to one job |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        equal = {None: "", True: "yes", False: "no"}[row["equal"]]
        took = row["seconds"]
        ratio = median(mine / its for mine, its in zip(took, one, strict=True))
        turns = " / ".join(f"{value:.0f}" for value in took)
        lines.append(
            f"| {name} | {median(took):.0f} | {turns} | {ratio:.2f} | {row['kills']} | {equal} |"
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="neurodyn bench jobs", description="Runs side by side, and killed."
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=3, help="turns")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    options, options.recipe = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    heading = (
        "Many runs on one machine",
        f"`neurodyn bench jobs`; {len(NEURONS) * options.seeds} runs: {' and '.join(NEURONS)} on "
        f"`sequential-digits`, {options.seeds} seeds each, {options.epochs} epochs. Wall time of "
        f"the whole command, median of {options.repeats} turns; the ratio is that within a turn.",
    )
    write_page(options.out, "jobs", heading, found, table)


if __name__ == "__main__":
    main()
