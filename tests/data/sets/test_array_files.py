from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from neurodyn.data import ArrayFile
from tests.data.files import find_real
from tests.data.sets.test_arrays import first, saved

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 20, 5)).astype(np.float32), np.arange(60) % 3


def write(path: Path, **arrays) -> str:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".mat":
        savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    return str(path)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".mat"])
def test_arrays_by_their_names(suffix, tmp_path):
    path = write(tmp_path / f"a{suffix}", x=X, y=Y, x_test=X[:9], y_test=Y[:9], other=Y[:3])
    data = ArrayFile(path, batch_size=12)
    samples, _labels = first(data)
    assert samples.shape == (20, 12, 5)
    assert data.outputs == 3
    assert len(data._test) == 9
    named = ArrayFile(write(tmp_path / f"b{suffix}", x=X, kind=Y), labels="kind")
    assert named.outputs == 3


def test_other_parts_lengths_and_labels(tmp_path):
    lengths = np.arange(60) % 20 + 1
    parts = {"x_val": X[:6], "y_val": Y[:6], "lengths_val": lengths[:6]}
    data = ArrayFile(write(tmp_path / "a.npz", x=X, y=Y, lengths=lengths, **parts))
    data.setup("fit")
    assert len(data._validation) == 6
    assert data._validation.lengths.tolist() == lengths[:6].tolist()
    assert len(first(data)) == 3


def test_npy_with_labels_beside(tmp_path):
    np.save(tmp_path / "X.npy", X.astype(np.float64))
    np.save(tmp_path / "Y.npy", X.mean((1, 2)))
    data = ArrayFile(str(tmp_path / "X.npy"), labels=str(tmp_path / "Y.npy"))
    samples, _values = first(data)
    assert samples.dtype == torch.float32
    assert data.targets.kind == "values"
    assert data._training.values.dtype == torch.float64, "mapped, and not copied"
    with pytest.raises(ValueError, match=r"labels: X\.npy holds samples alone; expected the path"):
        ArrayFile(str(tmp_path / "X.npy")).setup()
    with pytest.raises(ValueError, match=r"test_path: expected none beside a \.npy"):
        ArrayFile("X.npy", test_path="Z.npy")


def test_tables(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i},{i % 7},{'dog' if i % 2 else 'cat'}" for i in range(60)]
    path.write_text("\n".join(["age,dose,kind", *rows]))
    data = ArrayFile(str(path), batch_size=12)
    samples, _ = first(data)
    assert samples.shape == (12, 2)
    assert data.targets.names == ("cat", "dog")
    numbers = tmp_path / "b.csv"
    numbers.write_text("\n".join(["age,dose,size", *(f"{i / 3},{i % 7},{i}" for i in range(60))]))
    dose = ArrayFile(str(numbers), labels="dose")
    assert (dose.shape, dose.outputs) == ((2,), 7)
    with pytest.raises(ValueError, match="found text in the column 'kind', expected numbers"):
        ArrayFile(str(path), labels="dose").setup()
    with pytest.raises(ValueError, match=r"labels: found age, dose, kind in .*got 'dosis'"):
        ArrayFile(str(path), labels="dosis").setup()


def test_a_table_without_targets_is_new_samples(tmp_path):
    path, new = tmp_path / "a.csv", tmp_path / "new.csv"
    path.write_text("\n".join(["a,b,y", *(f"{i / 7},{i},{i % 2}" for i in range(60))]))
    new.write_text("a,b\n1,2\n3,4\n")
    data = ArrayFile(str(path))
    assert data.read_files([new]).values.tolist() == [[1, 2], [3, 4]]
    assert data.read_files([path]).values.shape == (60, 2)
    assert data.read_files([new]).names == ["new.csv[0]", "new.csv[1]"]


def test_a_second_file_is_the_test_set(tmp_path):
    data = ArrayFile(
        write(tmp_path / "a.npz", x=X, y=Y), test_path=write(tmp_path / "b.npz", x=X[:7], y=Y[:7])
    )
    data.setup()
    assert (len(data._test), len(data._training) + len(data._validation)) == (7, 60)


def test_names_that_are_spelled_otherwise(tmp_path):
    path = write(tmp_path / "a.npz", data=X, labels=Y)
    data = ArrayFile(path)
    with pytest.raises(ValueError, match=r"a\.npz: found data, labels, expected x \(samples\) and"):
        data.setup()
    with pytest.raises(ValueError, match=r"labels: found data, labels in .*got 'target'"):
        ArrayFile(path, labels="target").setup()
    with pytest.raises(FileNotFoundError, match="looked for a file of arrays"):
        ArrayFile(str(tmp_path / "none.npz")).setup()


def test_the_constructor_reads_nothing():
    ArrayFile("/nowhere/at/all.npz", batch_size=3, limit=100)


def test_a_file_that_changes_is_read_again(tmp_path):
    path = write(tmp_path / "a.npz", x=X, y=Y)
    one = ArrayFile(path)
    before = one.fingerprint()
    assert (one.outputs, before) == (3, ArrayFile(path).fingerprint())
    write(tmp_path / "a.npz", x=X[:, :, :4], y=np.arange(60) % 4)
    other = ArrayFile(path)
    assert (other.outputs, other.shape) == (4, (4,))
    assert other.fingerprint() != before


def test_new_files_without_the_training_file(tmp_path, capsys):
    path = tmp_path / "a.npz"
    data = ArrayFile(write(path, x=X, y=Y), standardise=True)
    state = saved(data)
    expected = data.as_input(torch.from_numpy(X))
    path.unlink()
    bare = ArrayFile(str(path), standardise=True)
    bare.load_state_dict(state)
    assert (bare.shape, bare.outputs, bare.steps) == ((5,), 3, 20)
    new = write(tmp_path / "new.npz", x=X[:4])
    files = bare.read_files([new])
    assert files.names == [f"new.npz[{row}]" for row in range(4)]
    assert files.lengths is None
    torch.testing.assert_close(bare.as_input(files.values), expected[:, :4])
    np.save(tmp_path / "one.npy", X[7])
    np.save(tmp_path / "short.npy", X[8:10, :6])
    files = bare.read_files([str(tmp_path / "one.npy"), tmp_path / "short.npy"])
    assert files.names == ["one.npy", "short.npy[0]", "short.npy[1]"]
    assert files.lengths.tolist() == [20, 6, 6]
    assert files.values.shape == (3, 20, 5)
    told = "short.npy: found 2 sequences of 6 steps; those of the training had up to 20\n"
    assert capsys.readouterr().err.count(told) == 1
    assert bare.as_input(files.values[1:], files.lengths[1:]).shape == (6, 2, 5)
    with pytest.raises(ValueError, match=r"new2\.npz: found z, expected x"):
        bare.read_files([write(tmp_path / "new2.npz", z=X)])


def test_new_files_say_how_long_their_sequences_are(tmp_path):
    lengths = np.arange(60) % 20 + 1
    x = X.copy()
    x[np.arange(20) >= lengths[:, None]] = np.nan
    data = ArrayFile(write(tmp_path / "a.npz", x=x, y=Y, lengths=lengths))
    data.setup()
    files = data.read_files([data.path])
    assert files.lengths.tolist() == lengths.tolist()
    assert not files.values.isnan().any()
    mask = np.arange(6) < np.array([[2], [5]])
    masked = write(tmp_path / "mask.mat", x=X[:2, :6], mask=mask)
    bare = write(tmp_path / "bare.npz", x=X[:3])
    assert data.read_files([masked, bare]).lengths.tolist() == [2, 5, 20, 20, 20]
    wrong = write(tmp_path / "wrong.npz", x=X[:2], lengths=np.array([3, 0]))
    with pytest.raises(ValueError, match=r"wrong.npz: found lengths from 0 to 3, .* from 1 to 20"):
        data.read_files([wrong])


def test_whole_numbers_as_values_have_padding(tmp_path):
    y, lengths = np.full((60, 20), 7), np.full(60, 5)
    y[::2] = 9
    data = ArrayFile(write(tmp_path / "a.npz", x=X, y=y, lengths=lengths), task="values")
    data.setup()
    assert 7 < data.targets.mean[0] < 9


def test_columns_that_are_separated_otherwise(tmp_path):
    (tmp_path / "a.csv").write_text("a;b;y\n1;2;0\n2;3;1\n")
    with pytest.raises(ValueError, match=r"single column.* separated by commas \(.csv\)"):
        ArrayFile(str(tmp_path / "a.csv")).setup()


def test_real_ecg():
    root = find_real("qtdb/QTDB_train.mat") / "qtdb"
    paths = [str(root / f"QTDB_{part}.mat") for part in ("train", "test")]
    data = ArrayFile(paths[0], test_path=paths[1])
    data.setup()
    targets = data.targets
    assert (targets.kind, targets.outputs, targets.per_step) == ("classes", 6, True)
    assert (data.shape, data.steps, len(data._test)) == ((4,), 1301, 141)
    assert data._training.values.dtype == torch.int8
    assert (data._test.labels == -100).float().mean() == pytest.approx(0.104, abs=5e-4)
