"""What a run folder has to show: its runs, finished or not, by contender.

Nothing here trusts a file. What is missing or cannot be read is noted, and the rest is shown.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from neurodyn.comparison.course import COURSE, Course
from neurodyn.comparison.folder import by_neuron, distinct
from neurodyn.comparison.portrait import ACTIVITY
from neurodyn.comparison.settings import saved_settings
from neurodyn.comparison.tables import chance
from neurodyn.files import read_json

T = TypeVar("T")

NUMBERS = ("score", "val_score", "firing_rate", "spikes", "sops", "energy_nJ", "parameters")
"""What a finished run's result has as numbers, and a table needs, besides the seconds."""


@dataclass
class Shown:
    """One run.

    Attributes:
        home: its folder.
        neuron: the contender.
        seed: its seed; None if no file tells it.
        state: "finished", "diverged", "not finished" or "not tested".
        result: of a finished run; empty otherwise.
        curve: validation scores by epoch, in percent.
        why: why it diverged.
        starts: the provenance of every start.
    """

    home: Path
    neuron: str
    seed: int | None
    state: str
    result: dict[str, Any] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)
    why: str = ""
    starts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Contender and seed."""
        return self.neuron if self.seed is None else f"{self.neuron}, seed {self.seed}"


class RunFolder:
    """The runs of a folder: of a comparison, of one run of it, or of a `fit`.

    Attributes:
        path: the folder.
        runs: in the order in which their contenders were begun, and of seeds.
        missing: what could not be read, as sentences.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.missing = path, list[str]()
        if not path.is_dir():
            raise FileNotFoundError(f"run: expected a folder of runs, found none at {path}")
        self.alone = (path / "config.yaml").is_file() or (path / "result.json").is_file()
        homes = [path] if self.alone else sorted(p for p in path.glob("*/seed-*") if p.is_dir())
        found = [run for run in map(self._read, homes) if run]
        if not found:
            raise FileNotFoundError(
                f"run: expected the folder of a comparison, <neuron>/seed-<n>, or of a run, with "
                f"config.yaml, got {path}, in which there is neither"
            )
        first: dict[str, str] = {}
        for run in found:
            begun = str(run.starts[0].get("date", "")) if run.starts else "~"
            first[run.neuron] = min(begun, first.get(run.neuron, begun))
        found.sort(key=lambda run: (first[run.neuron], run.neuron, run.seed or 0))
        self.runs = found

    @property
    def title(self) -> str:
        """The folder's name; of a single run those of the two folders above too."""
        parts = self.path.resolve().parts
        return " / ".join(parts[-3:]) if self.alone else parts[-1]

    @property
    def neurons(self) -> list[str]:
        """The contenders."""
        return distinct(run.neuron for run in self.runs)

    @property
    def finished(self) -> list[dict[str, Any]]:
        """The results of the finished runs."""
        return [run.result for run in self.runs if run.state == "finished"]

    @property
    def metric(self) -> str:
        """The main metric of the task."""
        return next((str(r["metric"]) for r in self.finished if r.get("metric")), "score")

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess, in percent; None if the task has none."""
        return chance(self.finished)

    @property
    def study(self) -> str:
        """The conclusion of a study; empty if the folder is not one of a study."""
        return (self._tried(self.path / "study.md", Path.read_text) or "").strip()

    def firsts(self) -> dict[str, Shown]:
        """For each contender the run to look into: the first that is finished, or the first."""
        runs: dict[str, Shown] = {}
        for run in self.runs:
            known = runs.get(run.neuron)
            if known is None or (known.state != "finished" and run.state == "finished"):
                runs[run.neuron] = run
        return runs

    def course(self, run: Shown) -> Course | None:
        """What the neurons did at every epoch; None if that was not recorded."""
        return self._tried(run.home / COURSE, Course.load)

    def activity(self, run: Shown) -> dict[str, Any] | None:
        """The activity of each layer on the test set; None if that was not recorded."""
        found = self._tried(run.home / ACTIVITY, read_json)
        return found if isinstance(found, dict) else None

    def families(self, run: Shown) -> dict[str, Any]:
        """For each layer and epoch the shares of families of dynamics; empty if not recorded."""
        found = self._tried(run.home / "families.json", read_json)
        return found if isinstance(found, dict) else {}

    def settings(self, run: Shown) -> dict[str, Any]:
        """The settings that make a run what it is, by their keys; empty if not recorded."""
        return self._tried(run.home / "config.yaml", saved_settings) or {}

    def _tried(self, path: Path, read: Callable[[Path], T]) -> T | None:
        if not path.is_file():
            return None
        try:
            return read(path)
        except Exception as error:  # Damaged files end in many ways.
            self._miss(str(error))
            return None

    def _miss(self, sentence: str) -> None:
        if sentence not in self.missing:
            self.missing.append(sentence)

    def _read(self, home: Path) -> Shown | None:
        """A run from its files; None where no training was begun."""
        result = self._object(home / "result.json")
        lost = self._object(home / "diverged.json")
        known = result or lost
        neuron = str(known.get("neuron") or (home.name if self.alone else home.parent.name))
        seed = known.get("seed", _seed(home))
        starts = known.get("starts") or self._tried(home / "starts.json", read_json) or []
        run = Shown(
            home,
            neuron,
            seed if isinstance(seed, int) else None,
            "diverged" if lost else "not finished",
            curve=_numbers(result.get("curve")) or self._logged(home),
            why=str(lost.get("why", "")),
            starts=[start for start in starts if isinstance(start, dict)],
        )
        if result and not lost:
            if all(_is_number(result.get(name)) for name in (*NUMBERS, "seconds")):
                run.state = "finished"
                run.result = {"beside": {}, "metric": "score", **result}
                run.result |= {"neuron": neuron, "seed": run.seed or 0, "curve": run.curve}
            else:
                self._miss(f"{home / 'result.json'} has no complete result; its run is left out.")
                run.state = "not tested"
        elif not lost and not (home / "starts.json").is_file():
            if not (home / "config.yaml").is_file():
                return None
            run.state = "not tested"
        return run

    def _object(self, path: Path) -> dict[str, Any]:
        found = self._tried(path, read_json)
        return found if isinstance(found, dict) else {}

    def _logged(self, home: Path) -> list[float]:
        """The validation scores in the logs of a run without a result, by epoch."""
        scores: dict[int, float] = {}
        for path in sorted([*home.glob("log/version_*/metrics.csv"), *home.glob("metrics.csv")]):
            for row in self._tried(path, _rows) or []:
                try:
                    scores[int(row["epoch"])] = 100 * float(row["val_score"])
                except (KeyError, ValueError, TypeError):
                    continue  # A line of the training, or one that a kill cut short.
        return [scores[epoch] for epoch in sorted(scores)]


def curves_of(runs: list[Shown]) -> dict[str, list[list[float]]]:
    """For each contender the curves of its runs that have one."""
    kept = [{"neuron": run.neuron, "curve": run.curve} for run in runs if run.curve]
    return by_neuron(kept, lambda run: run["curve"])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _seed(home: Path) -> int | None:
    number = home.name.removeprefix("seed-")
    return int(number) if number.isdecimal() else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _numbers(values: Any) -> list[float]:
    if not isinstance(values, list) or not all(map(_is_number, values)):
        return []
    return [float(value) for value in values]
