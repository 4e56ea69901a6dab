"""Files of arrays: NumPy's, HDF5, MATLAB's, and tables of text. None of them runs code."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.data.formats.child import decoded
from neurodyn.data.formats.reading import RATIO, reading
from neurodyn.data.formats.spikes import hdf5

Array = np.ndarray[Any, Any]

HEADER = 2**16
"""More bytes than NumPy writes in front of an array."""


def read_arrays(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Array]:
    """The arrays of a file by their names; the format follows from the suffix.

    | suffix | arrays |
    |---|---|
    | .npz | those in it |
    | .npy | one, called `x`, mapped and not read |
    | .h5, .hdf5 | the data sets at the top |
    | .mat | the variables, of MATLAB's format 5 |
    | .csv, .tsv | the columns, by the names in the first line, else "0", "1", ... |

    Args:
        path: the file.
        names: read only these, those that are there; all unless given.

    Raises:
        ValueError: the suffix is unknown, or the file is not of its format.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"{path}: expected a file of {', '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of arrays, and there is none")
    with reading(path, f"a complete {suffix} file of arrays"):
        return READERS[suffix](path, names)


def _npz(path: Path, names: tuple[str, ...] | None) -> dict[str, Array]:
    arrays = {}
    with zipfile.ZipFile(path) as packed:
        for info in packed.infolist():
            name = info.filename.removesuffix(".npy")
            if names is not None and name not in names:
                continue
            if info.file_size > RATIO * info.compress_size + HEADER:
                raise ValueError(f"{name!r} claims {info.file_size:,} bytes, more than it can hold")
            with packed.open(info) as file:
                version = np.lib.format.read_magic(file)
                if version not in HEADERS:
                    raise ValueError(f"{name!r} has the format {version} of NumPy's arrays")
                shape, _, dtype = HEADERS[version](file)
                # Before anything is allocated.
                if int(np.prod(shape, dtype=object)) * dtype.itemsize > info.file_size:
                    raise ValueError(f"{name!r} claims the shape {shape}, more than it can hold")
            with packed.open(info) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _npy(path: Path, names: tuple[str, ...] | None) -> dict[str, Array]:
    return {"x": np.load(path, mmap_mode="c", allow_pickle=False)}


def _hdf5(path: Path, names: tuple[str, ...] | None) -> dict[str, Array]:
    (found,) = decoded("hdf5_names", path, "audio")
    wanted = [name for name in found.tolist() if names is None or name in names]
    return dict(zip(wanted, hdf5(path, *wanted), strict=True)) if wanted else {}


def _matlab(path: Path, names: tuple[str, ...] | None) -> dict[str, Array]:
    with path.open("rb") as file:
        if b"MATLAB 7.3" in file.read(128):
            raise ValueError("found MATLAB's format 7.3; save it with -v7, or as .npz or .h5")
    (found,) = decoded("matlab_names", path, "audio")
    arrays = {}
    for name in found.tolist():
        if names is None or name in names:
            (array,) = decoded("matlab", path, "audio", name=name)
            # MATLAB has rows and columns where others have arrays of one dimension.
            line = array.ndim == 2 and 1 in array.shape and not name.startswith("x")
            arrays[name] = _whole(array.ravel() if line else array)
    return arrays


def _whole(array: Array) -> Array:
    """Whole numbers as such: MATLAB keeps all numbers as doubles."""
    if array.dtype.kind != "f" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        return array
    small = array.size == 0 or np.abs(array).max() <= np.iinfo(np.int16).max
    return array.astype(np.int16 if small else np.float64)


def _table(path: Path, names: tuple[str, ...] | None) -> dict[str, Array]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file, delimiter=DELIMITERS[path.suffix.lower()]) if row]
    if not rows:
        raise ValueError("found no lines")
    has_names = not any(map(_is_number, rows[0]))
    heads = rows.pop(0) if has_names else [str(i) for i in range(len(rows[0]))]
    heads = [head.strip() for head in heads]
    if len(set(heads)) < len(heads):
        raise ValueError(f"found columns with one name, {heads}")
    for number, row in enumerate(rows, start=1 + has_names):
        if len(row) != len(heads):
            raise ValueError(f"found {len(row)} cells in line {number}, expected {len(heads)}")
    return {
        head: _column(cells) for head, cells in zip(heads, zip(*rows, strict=True), strict=True)
    }


def _column(cells: tuple[str, ...]) -> Array:
    for kind in (int, float):
        try:
            return np.array([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.array([cell.strip() for cell in cells])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

DELIMITERS = {".csv": ",", ".tsv": "\t"}

READERS: dict[str, Callable[[Path, tuple[str, ...] | None], dict[str, Array]]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".mat": _matlab,
    ".csv": _table,
    ".tsv": _table,
}
