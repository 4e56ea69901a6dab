"""`neurodyn.compare`: a comparison of objects or names, from Python."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from neurodyn import data as data_sets
from neurodyn.comparison.compare import run_comparison
from neurodyn.comparison.contender import Contender
from neurodyn.comparison.folder import is_finished, write_json
from neurodyn.comparison.jobs.cluster import Cluster
from neurodyn.data.adapted import adapted
from neurodyn.files import read_json
from neurodyn.interactive import held
from neurodyn.interactive.result import Comparison
from neurodyn.layers import GatedCell
from neurodyn.neurons import SpikingLayer
from neurodyn.training.allowed import allow
from neurodyn.training.find import find_recipe
from neurodyn.training.paths import recipe_for

Neuron = str | type[SpikingLayer | GatedCell] | Callable[..., Any]
SIMPLE = (str, int, float, bool)
SOURCE = "source.json"
"""In the folder of a contender whose class was defined in Python: what its source was."""


def compare(
    recipe: str | None = None,
    *,
    neurons: Mapping[str, Neuron] | Sequence[Neuron] = ("lif", "plif", "lnm", "planar"),
    network: str | type[nn.Module] | Callable[..., nn.Module] | None = None,
    data: str | Path | type[L.LightningDataModule] | L.LightningDataModule | None = None,
    seeds: int | Sequence[int] = 3,
    epochs: int | None = None,
    options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    cluster: str | Cluster | None = None,
) -> Comparison:
    """Train every neuron with every seed on the same network and data, as `neurodyn compare` does.

        neurodyn.compare("digits", neurons={"lif": neurodyn.LIF, "mine": Mine}, seeds=3, epochs=20)

    Finished runs are kept, and interrupted ones continue: call it again. The global random numbers
    are left as they were.

    Args:
        recipe: name or path of a recipe; by default the one that fits `data`: `images` or
            `sequences`; and without data `sequential-digits`.
        neurons: contenders by their names in the table. Each is a text as on the command line
            (`"lnm:degree=5"`), a class, a `functools.partial` of one, or a function that makes a
            neuron from the shape of its step. Of a sequence, each goes by its own name.
        network: instead of the recipe's: its name, a class, or a function. It is called with the
            neuron, and with `shape` and `classes` if it takes them.
        data: instead of the recipe's: a name, a file or folder, a class, or a data module.
        seeds: number of seeds, 0, 1, ...; or the seeds.
        epochs: of training; by default the recipe's.
        options: of the recipe, such as `{"model.optim.lr": 0.01, "data.limit": 500}`.
        out: run folder; by default one in `runs/` for these settings and sources.
        jobs: runs that are trained at a time, each in a process of its own. All classes have to be
            of modules then; a new process cannot import what a notebook defines.
        threads: PyTorch's threads of a run; by default 1 with `jobs` or `cluster`.
        cluster: where runs are sent to, such as `"slurm"` or `Cluster("slurm", {"time": 60})`.

    Raises:
        ArithmeticError: every run diverged; it says why, and where the page is.
        ChildProcessError: runs failed in processes of their own; the others are kept.
    """
    with _same_random_numbers():
        given = Given()
        arguments = given.arguments(recipe, network, data, epochs, options or {})
        texts = given.contenders(neurons)
        if given.here and (cluster or (jobs or 1) > 1):
            raise ValueError(
                f"jobs: a new process cannot import {', '.join(given.here)}, which was made in "
                "this one. Write it as a class into a module, such as mine.py, and import it from "
                "there; or train in this process (jobs=1)"
            )
        numbers = list(range(seeds) if isinstance(seeds, int) else seeds)
        folder = Path(out) if out else Path("runs") / given.name(arguments, texts)
        labels = [Contender.parse(text).label for text in texts]
        given.check_sources(folder, texts, labels)
        place = Cluster(cluster) if isinstance(cluster, str) else cluster
        run_comparison(arguments, texts, numbers, folder, jobs=jobs, threads=threads, cluster=place)
    return Comparison(folder, labels, numbers)


class Given:
    """The objects of a call, as arguments of a recipe and as contenders.

    Attributes:
        here: those that no other process could import.
        sources: a digest of the source of each neuron that is not ours, by its text.
        digests: of networks and data that are held.
    """

    def __init__(self) -> None:
        self.here: list[str] = []
        self.sources: dict[str, str] = {}
        self.digests: list[str] = []

    def arguments(
        self,
        recipe: str | None,
        network: Any,
        data: Any,
        epochs: int | None,
        options: Mapping[str, Any],
    ) -> list[str]:
        """The arguments of the recipe. Its name goes first."""
        chosen = []
        if data is not None:
            chosen += self._data(data)
        if network is not None:
            chosen += self._network(network)
        if epochs is not None:
            chosen.append(f"--trainer.max_epochs={epochs}")
        chosen += [f"--{name}={_written(value)}" for name, value in options.items()]
        named = recipe or (_recipe_of(data) if data is not None else "sequential-digits")
        return [f"--config={find_recipe(named)}", *chosen]

    def contenders(self, neurons: Mapping[str, Neuron] | Sequence[Neuron]) -> list[str]:
        """The contenders as a comparison reads them."""
        if isinstance(neurons, str):
            raise ValueError(f"neurons: expected a list or a dictionary, got {neurons!r}")
        if isinstance(neurons, Mapping):
            for label in neurons:
                if "@" in label:
                    raise ValueError(f"neurons: expected a name without @, got {label!r}")
            return [f"{label}@{self._neuron(value, label)}" for label, value in neurons.items()]
        return [self._listed(value) for value in neurons]

    def name(self, arguments: Sequence[str], texts: Sequence[str]) -> str:
        """The name of a folder for these settings and sources."""
        parts = [*arguments, *texts, *self.digests, *self.sources.values()]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
        return f"{Path(arguments[0].partition('=')[2]).stem}-{digest}"

    def check_sources(self, folder: Path, texts: Sequence[str], labels: Sequence[str]) -> None:
        """Refuse a folder with runs of a class whose source has changed since."""
        for text, label in zip(texts, labels, strict=True):
            home = folder / Contender.parse(text).folder
            path, digest = home / SOURCE, self.sources.get(text.rpartition("@")[2])
            begun = any(is_finished(run) or (run / "last.ckpt").is_file() for run in home.glob("*"))
            if begun and path.is_file() and read_json(path) != digest:
                raise ValueError(
                    f"out: {home} holds runs of another {label}: its source has changed; choose "
                    "another folder, or delete that one"
                )
            if digest:
                write_json(path, digest)

    def _listed(self, value: Neuron) -> str:
        if isinstance(value, str):
            return value
        text = self._neuron(value, getattr(value, "__name__", "neuron"))
        ours = Contender.parse(text).cls.__module__.startswith("neurodyn.")
        if ours and not text.startswith(f"{held.__name__}."):
            return text
        return f"{getattr(value, '__name__', 'neuron')}@{text}"

    def _neuron(self, value: Neuron, label: str) -> str:
        """A contender without its label."""
        if isinstance(value, str):
            return value
        if not callable(value):
            raise ValueError(
                f"neurons: expected a name, a class or a function for {label}, got "
                f"{type(value).__name__}"
            )
        cls: Any = value
        options = ""
        if isinstance(value, partial) and not value.args:
            given = value.keywords.items()
            if all(_is_simple(option) for _, option in given):
                cls = value.func
                options = "".join(f":{name}={_written(option)}" for name, option in given)
        if isinstance(cls, type) and issubclass(cls, SpikingLayer | GatedCell) and _path(cls):
            text = f"{self._imported(cls)}{options}"
        else:
            name = held.hold(label, value, held.code_digest(value))
            self.here.append(label)
            text = f"{held.__name__}.HeldNeuron:name={name}"
        if not (isinstance(cls, type) and cls.__module__.startswith("neurodyn.")):
            self.sources[text] = held.code_digest(value)
        return text

    def _network(self, value: Any) -> list[str]:
        if isinstance(value, str):
            return [f"--model.network={value}"]
        if isinstance(value, nn.Module):
            raise ValueError(
                "network: expected a class, or a function that makes the network from a neuron, "
                f"got a {type(value).__name__}, whose neurons are chosen already. Write "
                "lambda neuron: ..., with neuron((64,)) for each layer"
            )
        if isinstance(value, type) and _path(value):
            return [f"--model.network={self._imported(value)}"]
        digest = held.code_digest(value)
        self.here.append("the network")
        self.digests.append(digest)
        name = held.hold(getattr(value, "__name__", type(value).__name__), value, digest)
        network = "--model.network"
        return [f"{network}={held.__name__}.HeldNetwork", f"{network}.init_args.name={name}"]

    def _data(self, value: Any) -> list[str]:
        if isinstance(value, str | Path):
            return [f"--data={value}"]
        if isinstance(value, type) and _path(value):
            return [f"--data={self._imported(value)}"]
        if not isinstance(value, L.LightningDataModule):
            raise ValueError(
                "data: expected a name, a path, or a data module such as "
                f"neurodyn.data.TensorData(x, y), got {type(value).__name__}"
            )
        digest = held.data_digest(value)
        self.here.append("the data")
        self.digests.append(digest)
        name = held.hold(type(value).__name__, value, digest)
        return [f"--data={held.__name__}.HeldData", f"--data.init_args.name={name}"]

    def _imported(self, cls: type) -> str:
        """The import path of a class, whose module recipes may name from here on."""
        path = _path(cls)
        assert path
        if cls.__module__ == "__main__":
            self.here.append(cls.__name__)
        if not path.startswith("neurodyn."):
            allow(cls.__module__)
        return path


def _path(cls: type) -> str | None:
    """The import path of a class, if it is found there."""
    found = getattr(sys.modules.get(cls.__module__), cls.__qualname__, None)
    return f"{cls.__module__}.{cls.__qualname__}" if found is cls else None


def _recipe_of(data: Any) -> str:
    """The name of the recipe that fits data."""
    if isinstance(data, str | Path):
        fits = recipe_for([f"--data={data}"])
        if fits:
            return fits
        data = getattr(data_sets, str(data), None)
        if data is None:
            raise ValueError("recipe: expected one, as the data do not say which one fits")
    known = adapted(data() if isinstance(data, type) else data)
    return "images" if len(known.shape) == 3 else "sequences"


def _is_simple(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, int | float) for one in value)
    return isinstance(value, SIMPLE) and ":" not in str(value)


def _written(value: Any) -> str:
    """A value as an argument."""
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Leave the global random numbers, and Lightning's note of the seed, as they were."""
    before = {name: os.environ.get(name) for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")}
    try:
        with isolate_rng():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
