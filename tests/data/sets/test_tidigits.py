from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurodyn.data import NTIDIGITS

h5py = pytest.importorskip("h5py")


def write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for part in ("train", "test"):
            names = [f"man-ab-a-{said}" for said in [*"o123456789z", "12", "zz7"]]
            file[f"{part}_labels"] = np.array(names, "S")
            for name in names:
                file[f"{part}_timestamps/{name}"] = np.sort(rng.random(100))
                file[f"{part}_addresses/{name}"] = rng.integers(0, 64, 100)


def test_single_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "NTIDIGITS" / "n-tidigits.hdf5")
    data = NTIDIGITS(str(tmp_path), validation=0)
    data.setup()
    assert data._training.values.shape == (11, 250, 64)
    assert (data._training.values.sum((1, 2)) == 100).all()
    assert data._test.labels.tolist() == list(range(11))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"N-TIDIGITS18: looked for .*leads to n-tidigits"):
        NTIDIGITS(str(tmp_path)).setup()
