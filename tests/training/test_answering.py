"""Predictions for files, as CSV and as a table."""

import csv

import numpy as np
import pytest
import torch

import neurodyn
from neurodyn.data.targets import Targets
from neurodyn.training.answering import show_predictions, write_predictions
from neurodyn.training.predictions import Predictions
from tests.training.own import FileDigits


@pytest.fixture
def run(comparison):
    home = comparison / "lnm+degree=2" / "seed-0"
    return neurodyn.load(home, imports=["tests.training.own"])


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, _ = FileDigits().read(train=False)
    for number, image in enumerate(images[:30].numpy()):
        np.save(f"{number:02}.npy", image)
    return [f"{number:02}.npy" for number in range(30)]


def test_a_row_per_file(run, paths, tmp_path):
    line = write_predictions(run, paths, tmp_path / "out" / "p.csv", batch_size=7)
    assert "30 samples; " in line
    with (tmp_path / "out" / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = run.predict(FileDigits().read(train=False)[0][:30])
    assert [row["file"] for row in rows] == paths
    assert [row["prediction"] for row in rows] == wanted.names
    for row, shares in zip(rows, wanted.probabilities, strict=True):
        assert float(row["probability"]) == pytest.approx(shares.max().item(), abs=1e-6)
        found = torch.tensor([float(row[name]) for name in run.classes])
        torch.testing.assert_close(found, shares, atol=1e-5, rtol=0)


def test_a_table_shows_the_first_files_and_counts_all(run, paths):
    table = show_predictions(run, paths, batch_size=8)
    assert table.count(".npy") == 20
    assert "and 10 more; --out FILE.csv has all" in table
    assert "\n30 samples; " in table
    assert "more" not in show_predictions(run, paths[:20])


@pytest.mark.parametrize("batch_size", [3, 100])
def test_every_bad_file_is_named_and_nothing_is_written(run, paths, tmp_path, batch_size):
    for name in ("bad.npy", "worse.npy"):
        (tmp_path / name).write_bytes(b"")
    files = [*paths[:4], "bad.npy", *paths[4:8], "worse.npy", *paths[8:]]
    with pytest.raises(ValueError, match="files: 2 of 32 cannot be read") as error:
        write_predictions(run, files, tmp_path / "p.csv", batch_size)
    assert str(error.value).count("bad.npy") == str(error.value).count("worse.npy") == 1
    assert not [*tmp_path.glob("*.csv"), *tmp_path.glob(".*")]
    with pytest.raises(ValueError, match=r"1 of 2 .*\n  gone.npy: there is no such file"):
        show_predictions(run, ["00.npy", "gone.npy"])


def test_only_csv_is_written(run, paths, tmp_path):
    with pytest.raises(ValueError, match=r"out: expected a file that ends in \.csv"):
        write_predictions(run, paths, tmp_path / "p.npz")


SCORES = torch.tensor(
    [[[2.0, -1.0], [-3.0, 0.5], [1.0, 1.0]], [[-1.0, 1.0], [0.5, 0.0], [9.0, 9.0]]]
)
LENGTHS = torch.tensor([3, 2])


def rows(kind, names=("a", "b"), *, per_step=True):
    targets = Targets(kind, 2, per_step, names)
    scores = SCORES if per_step else SCORES[:, 0]
    made = Predictions.of(targets, scores, 10 * scores, LENGTHS if per_step else None)
    return made, made.header(), list(made.rows(["x", "y"]))


def test_a_row_per_step():
    made, header, found = rows("classes")
    assert header == ["file", "step", "prediction", "probability", "a", "b"]
    assert [row[:3] for row in found] == [
        *(["x", "0", "a"], ["x", "1", "b"], ["x", "2", "a"]),
        *(["y", "0", "b"], ["y", "1", "a"]),
    ]
    assert made.names == [["a", "b", "a"], ["b", "a"]]
    assert made.counts() == {"a": 3, "b": 2}
    assert made.summary(["x", "y"]) == (
        ["file", "steps", "a", "b"],
        [["x", "3", "0.6667", "0.3333"], ["y", "2", "0.5", "0.5"]],
    )


def test_labels_are_those_of_at_least_one_half():
    made, header, found = rows("labels", per_step=False)
    assert header == ["file", "prediction", "a", "b"]
    assert [row[:2] for row in found] == [["x", "a"], ["y", "b"]]
    assert made.names == [["a"], ["b"]]
    made, header, found = rows("labels")
    assert [row[2] for row in found] == ["a", "b", "a b", "b", "a b"]


def test_values_are_those_of_the_task():
    _, header, found = rows("values", ())
    assert header == ["file", "step", "value_0", "value_1"]
    assert found[1] == ["x", "1", "-30", "5"]
    _, header, found = rows("values", per_step=False)
    assert (header, found[0]) == (["file", "a", "b"], ["x", "20", "-10"])
