import csv
import json
import re
import shutil
from importlib.metadata import version

import pytest
import torch

import neurodyn
from neurodyn.comparison.clock import seconds_to
from neurodyn.comparison.compare import run_comparison
from neurodyn.comparison.jobs import local as jobs
from neurodyn.training.recipe import Recipe
from tests.comparison.stopped import stopped_at

TINY = [
    "--config=digits",
    "--trainer.max_epochs=2",
    "--data.limit=100",
    "--data.validation=40",
    "--model.network.widths=[4,6]",
]

FALLING = [
    "--config=digits",
    "--trainer.max_epochs=5",
    "--data.limit=300",
    "--data.validation=30",
    "--model.network.widths=[4,6]",
    "--model.optim.lr=0.2",
]


def logged(home):
    """The validation accuracies in the logs of a run and its resumptions, by epoch."""
    accuracy = {}
    for part in sorted((home / "log").glob("version_*/metrics.csv")):
        with part.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["val_accuracy"]:
                    accuracy[int(row["epoch"])] = 100 * float(row["val_accuracy"])
    return [accuracy[epoch] for epoch in sorted(accuracy)]


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    table = run_comparison(TINY, ["lif", "lnm:degree=2"], 2, folder)
    return folder, table


def test_table(finished):
    folder, table = finished
    rows = table.partition("\n\n")[0].splitlines()
    assert len(rows) == 4
    assert re.match(r"\| lif +\| 2 +\| \d+\.\d\d( ± \d+\.\d\d)? +\|", rows[2])
    assert rows[3].startswith("| lnm:degree=2 ")
    assert (folder / "table.md").read_text().startswith(table)


def test_everything_to_repeat_it_is_there(finished):
    folder, _ = finished
    here = files(folder)
    assert {"table.md", "table.json", "scores.png", "curves.png"} <= here
    pictures = ("dynamics.png", "families.png", "raster.png", "confusion.png")
    data = ("result.json", "families.json", "dynamics.npz", "activity.json")
    for name in ("config.yaml", "best.ckpt", *data, *pictures):
        assert f"lnm+degree=2/seed-1/{name}" in here
    result = json.loads((folder / "lnm+degree=2" / "seed-1" / "result.json").read_text())
    (start,) = result["starts"]
    assert start["packages"]["torch"] == version("torch")
    assert start["neurodyn"] == neurodyn.__version__
    assert start["git"]["commit"] in (folder / "table.json").read_text()
    assert result["seconds"] > 0
    families = json.loads((folder / "lnm+degree=2" / "seed-1" / "families.json").read_text())
    assert [len(history) for history in families.values()] == [3, 3], "at the start and two epochs"
    config = (folder / "lnm+degree=2" / "seed-1" / "config.yaml").read_text()
    assert "degree: 2" in config
    assert "seed_everything: 1" in config


def test_learned_dynamics_moved(finished):
    folder, _ = finished
    checkpoint = torch.load(folder / "lnm+degree=2" / "seed-0" / "last.ckpt", weights_only=True)
    weights = checkpoint["state_dict"]
    learned = [v.item() for k, v in weights.items() if re.search(r"\.c\.\d$", k)]
    assert len(learned) == 6
    assert learned != [0.0, -1.0, 0.0] * 2


def test_finished_runs_are_not_run_again(finished):
    folder, table = finished
    results = sorted(folder.rglob("result.json"))
    before = [path.stat().st_mtime_ns for path in results]
    assert run_comparison(TINY, ["lif", "lnm:degree=2"], 2, folder) == table
    assert [path.stat().st_mtime_ns for path in results] == before


def test_a_second_comparison_in_the_folder_keeps_the_first_ones_rows(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "again")
    table = run_comparison(TINY, ["if"], 1, tmp_path / "again")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["lif", "lnm:degree=2", "if"]


def test_other_settings_overwrite_nothing(finished):
    folder, table = finished
    with pytest.raises(ValueError, match=r"out: .*holds a run with other settings"):
        run_comparison([*TINY, "--model.optim.lr=0.01"], ["lif"], 2, folder)
    elsewhere = [*TINY, "--data.root=/somewhere/else"]
    assert run_comparison(elsewhere, ["lif", "lnm:degree=2"], 2, folder) == table, (
        "a place is no setting"
    )


def test_the_tested_weights_are_those_of_the_best_epoch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["--config=digits", "--data.limit=300", "--model.network.widths=[4,6]"]
    settings += ["--trainer.max_epochs=5", "--model.optim.lr=0.2", "--data.validation=30"]
    run_comparison(settings, ["lif"], 1, tmp_path)
    home = tmp_path / "lif" / "seed-0"
    result = json.loads((home / "result.json").read_text())
    curve = result["curve"]
    assert curve == pytest.approx(logged(home))
    best = torch.load(home / "best.ckpt", weights_only=True)
    assert best["epoch"] == curve.index(max(curve)) != len(curve) - 1, "the last is not the best"
    assert result["val_score"] == pytest.approx(max(curve))
    quiet = ["--trainer.logger=false", "--trainer.enable_progress_bar=false"]
    again = Recipe([*settings, *quiet, "--model.network.neuron=LIF"], run=False)
    again.model.load_state_dict(best["state_dict"])
    (score,) = again.trainer.test(again.model, again.datamodule, verbose=False)
    assert 100 * score["test_accuracy"] == pytest.approx(result["score"])


def test_a_moved_folder_can_be_finished(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "moved")
    for result in (tmp_path / "moved").rglob("result.json"):
        result.unlink()
    run_comparison(TINY, ["lif"], 2, tmp_path / "moved")
    one, two = (f / "lif" / "seed-1" / "result.json" for f in (folder, tmp_path / "moved"))
    one, two = json.loads(one.read_text()), json.loads(two.read_text())
    assert one["score"] == two["score"]


def test_a_run_that_never_finished_an_epoch(tmp_path):
    (tmp_path / "lif" / "seed-0" / "log" / "version_0").mkdir(parents=True)
    run_comparison(TINY, ["lif"], 1, tmp_path)
    assert (tmp_path / "curves.png").is_file()
    assert not [path for path in files(tmp_path) if "/." in path or path.endswith(".part")]


def test_an_interrupted_run_goes_on_to_the_same_result(finished, tmp_path):
    with stopped_at(1):
        run_comparison(TINY, ["lnm:degree=2"], 1, tmp_path)
    home = tmp_path / "lnm+degree=2" / "seed-0"
    assert (home / "last.ckpt").is_file()
    assert not (home / "result.json").exists()
    run_comparison(TINY, ["lnm:degree=2"], 1, tmp_path)
    straight = finished[0] / "lnm+degree=2" / "seed-0"
    one, two = (torch.load(f / "last.ckpt", weights_only=True) for f in (home, straight))
    for name, weight in one["state_dict"].items():
        assert torch.equal(weight, two["state_dict"][name]), name
    one, two = (json.loads((f / "result.json").read_text()) for f in (home, straight))
    assert (len(one["starts"]), len(two["starts"])) == (2, 1)
    assert len(one["epoch_seconds"]) == 2
    assert one["curve"] == two["curve"] == pytest.approx(logged(home))
    assert sum(map(sum, one["epoch_seconds"])) <= one["seconds"]
    assert one["score"] == two["score"]
    one, two = (json.loads((f / "families.json").read_text()) for f in (home, straight))
    assert one == two


@pytest.fixture(scope="module")
def falling(tmp_path_factory):
    """A run whose last epoch is not its best."""
    folder = tmp_path_factory.mktemp("falling")
    run_comparison(FALLING, ["lif"], 1, folder)
    curve = json.loads((folder / "lif/seed-0/result.json").read_text())["curve"]
    assert 0 < curve.index(max(curve)) < len(curve) - 1
    return folder


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (["last.ckpt"], "resumes from {}/best.ckpt"),
        (["best.ckpt"], "starts again"),
        (["best.ckpt", "last.ckpt"], "starts again"),
    ],
)
def test_a_checkpoint_that_is_cut_short_is_named_and_survived(
    falling, tmp_path, capfd, broken, what
):
    shutil.copytree(falling, tmp_path / "moved")
    home, straight = (f / "lif" / "seed-0" for f in (tmp_path / "moved", falling))
    (home / "result.json").unlink()
    for name in broken:
        (home / name).write_bytes((home / name).read_bytes()[:-40])
    # What a kill leaves, and a user's own file.
    for name in (".last-ab_12xyz.ckpt", ".config-abcd1234.yaml", ".notes"):
        (home / name).touch()
    run_comparison(FALLING, ["lif"], 1, tmp_path / "moved")
    line = f"{' and '.join(str(home / name) for name in broken)}: not a whole checkpoint; the run "
    assert line + what.format(home) in capfd.readouterr().err
    assert [path.name for path in home.glob(".*")] == [".notes"]
    for name in ("best.ckpt", "last.ckpt"):
        one, two = (torch.load(f / name, weights_only=True) for f in (home, straight))
        assert one["epoch"] == two["epoch"]
        for key, weight in one["state_dict"].items():
            assert torch.equal(weight, two["state_dict"][key]), key
    one, two = (json.loads((f / "result.json").read_text()) for f in (home, straight))
    assert (one["curve"], one["score"]) == (two["curve"], two["score"])


def test_the_best_epoch_is_remembered_in_a_folder_that_was_moved(falling, tmp_path):
    shutil.copytree(falling, tmp_path / "moved")
    home, straight = (f / "lif" / "seed-0" for f in (tmp_path / "moved", falling))
    (home / "result.json").unlink()
    # As if the run had been killed just after its best epoch.
    shutil.copy(home / "best.ckpt", home / "last.ckpt")
    run_comparison(FALLING, ["lif"], 1, tmp_path / "moved")
    one, two = (json.loads((f / "result.json").read_text()) for f in (home, straight))
    assert one["score"] == two["score"]


def test_threads_are_recorded_and_a_change_of_them_is_said(finished, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 64)
    shutil.copytree(finished[0] / "lif", tmp_path / "lif")
    home = tmp_path / "lif" / "seed-0"
    (home / "result.json").unlink()
    before = torch.get_num_threads()
    run_comparison(TINY, ["lif"], 1, tmp_path, threads=before + 1)
    assert torch.get_num_threads() == before
    starts = json.loads((home / "result.json").read_text())["starts"]
    assert [start["machine"]["threads"] for start in starts] == [before, before + 1]
    said = f"lif, seed 0: begun with {before} threads, resumed with {before + 1}; its last digits"
    assert said in capfd.readouterr().err


def test_seconds_of_epochs_are_those_of_the_run(finished):
    for path in finished[0].rglob("result.json"):
        result = json.loads(path.read_text())
        assert result["curve"] == pytest.approx(logged(path.parent))
        assert len(result["curve"]) == result["epochs"]
        assert len(result["epoch_seconds"]) == result["epochs"] == 2
        assert all(part > 0 for epoch in result["epoch_seconds"] for part in epoch)
        # Work after the last validation belongs to no epoch.
        assert 0.5 * result["seconds"] < seconds_to(result, min(result["curve"])) + sum(
            result["epoch_seconds"][1]
        )
        assert sum(map(sum, result["epoch_seconds"])) <= result["seconds"]


def test_a_target_is_an_accuracy(finished, tmp_path):
    with pytest.raises(ValueError, match=r"target: expected a score in percent, got 0\.0"):
        run_comparison([*TINY, "--target=0"], ["lif"], 1, tmp_path)
    with pytest.raises(ValueError, match=r"target is None there, 50\.0 here"):
        run_comparison([*TINY, "--target=50"], ["lif"], 1, finished[0])
