from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from neurodyn.data.formats.arrays import read_arrays

X, Y = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([0, 1, 0, 1])


def write(path: Path) -> Path:
    if path.suffix == ".npz":
        np.savez_compressed(path, x=X, y=Y)
    elif path.suffix == ".mat":
        savemat(path, {"x": X.astype(float), "y": Y.astype(float)[:, None]})
    else:
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = X, Y
            file.create_group("notes")
    return path


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".h5", ".hdf5"])
def test_round_trips(suffix, tmp_path):
    found = read_arrays(write(tmp_path / f"a{suffix}"))
    assert set(found) == {"x", "y"}
    assert np.array_equal(found["x"], X)
    assert np.array_equal(found["y"], Y)
    assert found["y"].dtype.kind == "i"
    assert set(read_arrays(tmp_path / f"a{suffix}", ("y",))) == {"y"}


def test_npy_is_mapped(tmp_path):
    np.save(tmp_path / "a.npy", X)
    assert read_arrays(tmp_path / "a.npy")["x"]._mmap is not None


@pytest.mark.parametrize(("suffix", "between"), [(".csv", ","), (".tsv", "\t")])
def test_tables(suffix, between, tmp_path):
    path = tmp_path / f"a{suffix}"
    lines = [["age", "dose", "kind"], ["3", "0.5", "a b"], ["4", "1", "c"], []]
    path.write_text("\n".join(between.join(line) for line in lines))
    found = read_arrays(path)
    assert list(found) == ["age", "dose", "kind"]
    assert found["age"].dtype.kind == "i"
    assert found["dose"].tolist() == [0.5, 1]
    assert found["kind"].tolist() == ["a b", "c"]
    path.write_text(f"1{between}2\n3{between}4\n")
    assert read_arrays(path)["1"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "found 1 cells in line 3, expected 2"),
        ("a,a\n1,2\n", "columns with one name"),
        ("\n", "found no lines"),
    ],
)
def test_broken_tables(text, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"a\.csv: .*{message}"):
        read_arrays(path)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    np.save(tmp_path / "a.npy", np.array([{}], object))
    for name in ("a.npz", "a.npy"):
        with pytest.raises(
            ValueError, match=r"Object arrays cannot be loaded|more than it can|Python objects"
        ):
            read_arrays(tmp_path / name)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_sequences_of_different_lengths_in_one_array(suffix, tmp_path):
    ragged = np.array([np.zeros((k, 2)) for k in (3, 4)], dtype=object)
    path = tmp_path / f"ragged{suffix}"
    np.save(path, ragged) if suffix == ".npy" else np.savez(path, x=ragged)
    with pytest.raises(ValueError, match=r"Python objects.*one padded array and add their lengths"):
        read_arrays(path)


def test_claims_that_a_file_cannot_hold(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 8)}
    np.lib.format.write_array_header_1_0(header, about)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("x.npy", header.getvalue() + bytes(64))
    with pytest.raises(ValueError, match=r"'x' claims the shape \(1099511627776, 8\), more than"):
        read_arrays(path)
    path = tmp_path / "a.npy"
    path.write_bytes(header.getvalue() + bytes(64))
    with pytest.raises(ValueError, match=r"a\.npy: .*expected a complete \.npy"):
        read_arrays(path)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".mat", ".h5"])
def test_damaged_files(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\x00\xff" * 400)
    with pytest.raises(ValueError, match=rf"a{suffix}: .*expected a complete {suffix} file"):
        read_arrays(path)
    with pytest.raises(FileNotFoundError, match="expected a file of arrays"):
        read_arrays(tmp_path / f"b{suffix}")


def test_other_files(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xlsx: expected a file of \.npz, \.npy"):
        read_arrays(tmp_path / "a.xlsx")
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(600))
    with pytest.raises(ValueError, match=r"format 7\.3; save it with -v7"):
        read_arrays(path)


def test_matlab_values_stay_values(tmp_path):
    savemat(tmp_path / "a.mat", {"x": X.astype(float) / 2, "big": np.full((2, 2), 1e6)})
    found = read_arrays(tmp_path / "a.mat")
    assert found["x"].dtype == found["big"].dtype == np.float64


def test_cells_are_explained(tmp_path):
    cells = np.empty(2, object)
    cells[:] = [np.ones((3, 2)), np.ones((4, 2))]
    savemat(tmp_path / "a.mat", {"x": cells, "y": [0, 1]})
    with pytest.raises(ValueError, match=r"a\.mat: .*'x' is a cell or struct.* pad sequences"):
        read_arrays(tmp_path / "a.mat")
