"""Arrays in a file: NumPy's, HDF5, MATLAB's or a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.data.arrays import Array, Part, as_array
from neurodyn.data.fingerprint import of_files
from neurodyn.data.formats.arrays import DELIMITERS, read_arrays
from neurodyn.data.samples import Files, paths_of
from neurodyn.data.sets.arrays import ArrayData, Parts, parts_of

DURATIONS = ("lengths", "mask")
"""Arrays that say how far each sequence goes."""

NAMES = tuple(f"{name}{end}" for end in ("", "_val", "_test") for name in ("x", "y", *DURATIONS))


class ArrayFile(ArrayData):
    """Arrays in a file, by their names: `x` and `y` and, if they are there, `lengths` or `mask`.
    The same names with `_test` are the test set, with `_val` the validation samples.

    | suffix | where samples and targets are |
    |---|---|
    | .npz, .h5, .hdf5, .mat | the arrays `x` and `y`, or `labels` for another name than `y` |
    | .npy | the samples; `labels` is the path of another .npy with the targets |
    | .csv, .tsv | a row of features per line; the last column, or the one called `labels` |

    Args:
        path: the file.
        labels: where the targets are, as above.
        test_path: a file with the same names that holds the test set.
        options: as `ArrayData`.
    """

    def __init__(
        self,
        path: str,
        labels: str | None = None,
        test_path: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if test_path is not None and Path(path).suffix.lower() == ".npy":
            raise ValueError(
                "test_path: expected none beside a .npy; put x, y, x_test and y_test into one .npz"
            )
        self.path, self.labels, self.test_path = path, labels, test_path

    @property
    def title(self) -> str:
        return self.path

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""
        given = [self.path, *([self.test_path] if self.test_path else [])]
        beside = [self.labels] if self.labels and self._labels_are_a_file else []
        return [Path(name).expanduser() for name in (*given, *beside)]

    @property
    def _labels_are_a_file(self) -> bool:
        return Path(self.path).suffix.lower() == ".npy"

    def load(self) -> Parts:
        parts = self._parts_of(self.path, self.labels)
        if self.test_path is not None:
            parts["test"] = self._parts_of(self.test_path, self.labels)["train"]
        return parts

    def fingerprint(self) -> str | None:
        return of_files(self.paths)

    def read_files(self, paths: str | Path | Sequence[str | Path]) -> Files:
        """Samples of the arrays `x` of files, each row of them one: `arrays.npz[3]`.

        `lengths` or a `mask` beside `x` say how far each goes.
        """
        names, values, lengths = [], [], []
        for path in paths_of(paths):
            part = self.new_samples(self._new_part(path), str(path))
            values.append(torch.from_numpy(part.x))
            lengths.append(None if part.lengths is None else torch.from_numpy(part.lengths))
            rows = len(part.x)
            names += [path.name if rows == 1 else f"{path.name}[{row}]" for row in range(rows)]
        return Files(names, *_padded(values, lengths, self.steps is not None))

    def _new_part(self, path: Path) -> Part:
        if _is_table(path):
            return Part(self._new_rows(path))
        found = {name: array for name, array in _of(path).items() if name in ("x", *DURATIONS)}
        if "x" not in found:
            raise ValueError(f"{path}: found {_listed(path)}, expected x")
        arrays = {name: as_array(array, f"{path}: {name}") for name, array in found.items()}
        return parts_of(arrays, str(path), time_first=self.time_first)["train"]

    def _new_rows(self, path: Path) -> Array:
        columns = dict(_of(path, all=True))
        if self.labels in columns:
            columns.pop(self.labels or "")
        elif len(columns) == self.facts.sample[0] + 1:
            columns.popitem()
        return _features(columns, path)

    def _parts_of(self, given: str, labels: str | None) -> dict[str, Part]:
        path = Path(given).expanduser()
        if _is_table(path):
            columns = dict(_of(path, all=True))
            target = labels or [*columns][-1]
            if target not in columns:
                raise ValueError(f"labels: found {_listed(path)} in {path}, got {target!r}")
            y = columns.pop(target)
            return {"train": Part(_features(columns, path), y)}
        if self._labels_are_a_file:
            if labels is None:
                raise ValueError(
                    f"labels: {path.name} holds samples alone; expected the path of a .npy with "
                    "their targets (--data.labels)"
                )
            arrays = {**_of(path), "y": _of(Path(labels).expanduser())["x"]}
        else:
            arrays = dict(_of(path, labels or "y"))
            if labels is not None:
                if labels not in arrays:
                    raise ValueError(f"labels: found {_listed(path)} in {path}, got {labels!r}")
                arrays["y"] = arrays.pop(labels)
            if not {"x", "y"} <= arrays.keys():
                raise ValueError(
                    f"{path}: found {_listed(path)}, expected x (samples) and y (targets), and if "
                    "there is a test set x_test and y_test"
                )
        return parts_of(
            {name: as_array(array, f"{path}: {name}") for name, array in arrays.items()},
            str(path),
            time_first=self.time_first,
        )


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in DELIMITERS


def _listed(path: Path) -> str:
    return ", ".join(_of(path, all=True)) or "no arrays"


def _features(columns: dict[str, Array], path: Path) -> Array:
    if not columns:
        raise ValueError(
            f"{path}: found a single column, expected features and a target, separated by commas "
            "(.csv) or tabs (.tsv)"
        )
    for name, column in columns.items():
        if column.dtype.kind == "U":
            raise ValueError(f"{path}: found text in the column {name!r}, expected numbers")
    return np.stack([*columns.values()], 1)


def _of(path: Path, *more: str, all: bool = False) -> dict[str, Array]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: looked for a file of arrays and did not find it")
    found = path.stat()
    names = None if all else (*NAMES, *more)
    return _read(path, names, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, names: tuple[str, ...] | None, *stamp: int) -> dict[str, Array]:
    """A comparison makes the same data set for each of its runs: the file is read once."""
    return read_arrays(path, names)


def _padded(
    values: list[Tensor], lengths: list[Tensor | None], timed: bool
) -> tuple[Tensor, Tensor | None]:
    """Samples of several files in one tensor; shorter sequences are padded."""
    steps = [v.shape[1] if timed else 0 for v in values]
    if len(set(steps)) == 1 and not any(own is not None for own in lengths):
        return torch.cat(values), None
    own = [
        torch.full((len(v),), t) if said is None else said
        for v, t, said in zip(values, steps, lengths, strict=True)
    ]
    whole = values[0].new_zeros(sum(map(len, values)), max(steps), *values[0].shape[2:])
    start = 0
    for v, t in zip(values, steps, strict=True):
        whole[start : start + len(v), :t] = v
        start += len(v)
    return whole, torch.cat(own)
