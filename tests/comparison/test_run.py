import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import neurodyn
from neurodyn.comparison.clock import epochs_to, seconds_to
from neurodyn.comparison.contender import Contender
from neurodyn.comparison.run import Run, compare, lasting_settings
from neurodyn.comparison.tables import markdown_table, validation_curve
from neurodyn.data import Digits
from neurodyn.training.recipe import Recipe

TINY = [
    "--config=digits",
    "--trainer.max_epochs=2",
    "--data.limit=100",
    "--data.validation=40",
    "--model.network.widths=[4,6]",
]


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    table = compare(TINY, ["lif", "lnm:degree=2"], 2, folder)
    return folder, table


def test_table(finished):
    folder, table = finished
    rows = table.splitlines()
    assert len(rows) == 4
    assert re.match(r"\| lif +\| 2 +\| \d+\.\d\d( ± \d+\.\d\d)? +\|", rows[2])
    assert rows[3].startswith("| lnm:degree=2 ")
    assert (folder / "table.md").read_text().startswith(table)


def test_everything_to_repeat_it_is_there(finished):
    folder, _ = finished
    here = files(folder)
    assert {"table.md", "table.json", "curves.png"} <= here
    pictures = ("dynamics.png", "families.png")
    for name in ("config.yaml", "result.json", "families.json", "best.ckpt", *pictures):
        assert f"lnm+degree=2/seed-1/{name}" in here
    result = json.loads((folder / "lnm+degree=2" / "seed-1" / "result.json").read_text())
    (start,) = result["starts"]
    assert start["packages"]["torch"] == torch.__version__
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
    assert compare(TINY, ["lif", "lnm:degree=2"], 2, folder) == table
    assert [path.stat().st_mtime_ns for path in results] == before


def test_a_second_comparison_in_the_folder_keeps_the_first_ones_rows(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "again")
    table = compare(TINY, ["if"], 1, tmp_path / "again")
    rows = [row.split("|")[1].strip() for row in table.splitlines()[2:]]
    assert rows == ["lif", "lnm:degree=2", "if"]


def test_other_settings_overwrite_nothing(finished):
    folder, table = finished
    with pytest.raises(ValueError, match=r"out: .*holds a run with other settings"):
        compare([*TINY, "--model.optim.lr=0.01"], ["lif"], 2, folder)
    elsewhere = [*TINY, "--data.root=/somewhere/else"]
    assert compare(elsewhere, ["lif", "lnm:degree=2"], 2, folder) == table, "a place is no setting"


def test_the_tested_weights_are_those_of_the_best_epoch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["--config=digits", "--data.limit=300", "--model.network.widths=[4,6]"]
    settings += ["--trainer.max_epochs=5", "--model.optim.lr=0.2", "--data.validation=30"]
    compare(settings, ["lif"], 1, tmp_path)
    home = tmp_path / "lif" / "seed-0"
    result = json.loads((home / "result.json").read_text())
    curve = validation_curve(home / "log")
    best = torch.load(home / "best.ckpt", weights_only=True)
    assert best["epoch"] == curve.index(max(curve)) != len(curve) - 1, "the last is not the best"
    assert result["val_accuracy"] == pytest.approx(max(curve))
    quiet = ["--trainer.logger=false", "--trainer.enable_progress_bar=false"]
    again = Recipe([*settings, *quiet, "--model.network.neuron=LIF"], run=False)
    again.model.load_state_dict(best["state_dict"])
    (score,) = again.trainer.test(again.model, again.datamodule, verbose=False)
    assert 100 * score["test_accuracy"] == pytest.approx(result["accuracy"])


def test_a_moved_folder_can_be_finished(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "moved")
    for result in (tmp_path / "moved").rglob("result.json"):
        result.unlink()
    compare(TINY, ["lif"], 2, tmp_path / "moved")
    one, two = (f / "lif" / "seed-1" / "result.json" for f in (folder, tmp_path / "moved"))
    one, two = json.loads(one.read_text()), json.loads(two.read_text())
    assert one["accuracy"] == two["accuracy"]


def test_a_run_that_never_finished_an_epoch(tmp_path):
    (tmp_path / "lif" / "seed-0" / "log" / "version_0").mkdir(parents=True)
    compare(TINY, ["lif"], 1, tmp_path)
    assert (tmp_path / "curves.png").is_file()


def test_an_interrupted_run_goes_on_to_the_same_result(finished, tmp_path, monkeypatch):
    from neurodyn.comparison import run as module

    class InterruptError(Exception):
        pass

    advance = module._Bar.on_train_epoch_start

    def stop(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise InterruptError
        advance(self, trainer, pl_module)

    monkeypatch.setattr(module._Bar, "on_train_epoch_start", stop)
    with pytest.raises(InterruptError):
        compare(TINY, ["lnm:degree=2"], 1, tmp_path)
    monkeypatch.undo()
    home = tmp_path / "lnm+degree=2" / "seed-0"
    assert (home / "last.ckpt").is_file()
    assert not (home / "result.json").exists()
    compare(TINY, ["lnm:degree=2"], 1, tmp_path)
    straight = finished[0] / "lnm+degree=2" / "seed-0"
    one, two = (torch.load(f / "last.ckpt", weights_only=True) for f in (home, straight))
    for name, weight in one["state_dict"].items():
        assert torch.equal(weight, two["state_dict"][name]), name
    assert len(validation_curve(home / "log")) == 2
    one, two = (json.loads((f / "result.json").read_text()) for f in (home, straight))
    assert (len(one["starts"]), len(two["starts"])) == (2, 1)
    assert len(one["epoch_seconds"]) == 2
    assert sum(map(sum, one["epoch_seconds"])) <= one["seconds"]
    assert one["accuracy"] == two["accuracy"]
    one, two = (json.loads((f / "families.json").read_text()) for f in (home, straight))
    assert one == two


def test_a_run_that_diverges_is_named_and_the_others_go_on(tmp_path):
    wild = "wild@lnm:clip=none:reset=none:start=[0,0,0,1e30]"
    with pytest.raises(FileNotFoundError, match=r"found none; wild, seed 0, diverged: Training st"):
        compare(TINY, [wild], 1, tmp_path)
    table = compare(TINY, [wild, "lif"], 1, tmp_path)
    assert re.search(r"^\| lif +\| 1 ", table, re.MULTILINE)
    assert "\n\nwild, seed 0, diverged: Training stopped in epoch" in table
    assert not (tmp_path / "wild" / "seed-0" / "result.json").exists()
    assert len(json.loads((tmp_path / "wild/seed-0/starts.json").read_text())) == 1


def test_neurons_by_name():
    contender = Contender.parse("LNM:degree=5:surrogate.width=derived")
    assert contender.cls.__name__ == "LNM"
    assert contender.arguments()[1:] == [
        "--model.network.init_args.neuron.degree=5",
        "--model.network.init_args.neuron.surrogate.width=derived",
    ]
    assert Contender.parse("spikgru2:signed=true").arguments() == [
        "--model.network.init_args.cell=neurodyn.layers.gated.SpikGRU2",
        "--model.network.init_args.cell.signed=true",
    ]
    named = Contender.parse("short@lif:model.timesteps=1")
    assert (named.label, named.folder) == ("short", "short")
    assert named.arguments()[1:] == ["--model.timesteps=1"]
    for text in ("@lif", "short@"):
        with pytest.raises(ValueError, match="neurons: expected label@name:option=value, got"):
            Contender.parse(text)
    with pytest.raises(ValueError, match=r"neurons: unknown name 'lmn'\. Did you mean 'lnm'"):
        Contender.parse("lmn")
    with pytest.raises(ValueError, match="expected name:option=value, got 'degree'"):
        Contender.parse("lnm:degree")


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="seeds: expected at least 1"):
        compare(TINY, ["lif"], 0, tmp_path)
    with pytest.raises(ValueError, match="neurons: expected different ones"):
        compare(TINY, ["lif", "lif"], 1, tmp_path)
    with pytest.raises(ValueError, match="neurons: expected at least one"):
        compare(TINY, [], 1, tmp_path)
    with pytest.raises(ValueError, match="--seed_everything: compare sets this itself"):
        compare([*TINY, "--seed_everything=7"], ["lif"], 1, tmp_path)
    with pytest.raises(ValueError, match=r"data\.validation: a comparison selects"):
        compare([*TINY, "--data.validation=0"], ["lif"], 1, tmp_path)
    with pytest.raises(ValueError, match="Did you mean 'degree'"):
        compare(TINY, ["lif", "lnm:degre=2"], 1, tmp_path)
    assert not files(tmp_path), "a mistake in the last contender shows before anything runs"


def test_table_by_hand():
    base = dict.fromkeys(
        ("val_accuracy", "firing_rate", "spikes", "sops", "energy_nJ", "parameters", "seconds"), 1.0
    )
    runs = [{"neuron": "lif", "seed": a, "accuracy": a, **base} for a in (90.0, 92.0, 94.0)]
    assert "| 92.00 ± 2.00 " in markdown_table(runs)


def test_a_fingerprint_is_of_what_makes_the_run_and_not_of_its_place():
    def fingerprint(*arguments):
        return Run(Contender.parse("lif"), 0, [*TINY, *arguments], Path()).fingerprint

    places = ["--data.root=/elsewhere", "--data.on_device=true"]
    places += ["--trainer.accelerator=cpu", "--last.minutes=1", "--trainer.logger=false"]
    assert fingerprint(*places) == fingerprint()
    # A device is no place: four of them have four times the batch.
    for other in ("--trainer.devices=4", "--data.augment.crop=1"):
        assert fingerprint(other, "--trainer.accelerator=cpu") != fingerprint(), other


def test_the_folder_of_a_data_set_is_no_place():
    one, two, three = (
        lasting_settings(
            f"data:\n  init_args: {{workers: {n}, download: {n == 2}, folder: {folder}}}"
        )
        for n, folder in ((1, "imagenet"), (2, "imagenet"), (1, "other"))
    )
    assert one == two == {"data.init_args.folder": "imagenet"}
    assert three != one


def test_only_an_error_is_said_of_a_comparison_that_cannot_start(capfd, caplog):
    with pytest.raises(ValueError, match="Did you mean 'degree'"):
        compare(TINY, ["lif", "lnm:degre=2"], 1, Path())
    assert capfd.readouterr().err == "" == caplog.text


def test_a_failed_start_leaves_the_folder_free(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no such data")

    monkeypatch.setattr(Digits, "read", fails)
    with pytest.raises(OSError, match="no such data"):
        compare([*TINY, "--model.optim.lr=0.5"], ["lif"], 1, tmp_path)
    monkeypatch.undo()
    compare(TINY, ["lif"], 1, tmp_path)
    result = json.loads((tmp_path / "lif" / "seed-0" / "result.json").read_text())
    assert len(result["starts"]) == 1, "the failed one is no part of it"


def test_one_entrant_has_one_label():
    assert Contender.parse("LNM:degree=2").label == Contender.parse("lnm:degree=2").label
    assert Contender.parse("My@LNM").label == "My"
    with pytest.raises(ValueError, match="neurons: expected different ones"):
        compare(TINY, ["LIF", "lif"], 1, Path())


def test_seconds_of_epochs_are_those_of_the_run(finished):
    for path in finished[0].rglob("result.json"):
        result = json.loads(path.read_text())
        assert result["curve"] == validation_curve(path.parent / "log")
        assert len(result["epoch_seconds"]) == result["epochs"] == 2
        assert all(part > 0 for epoch in result["epoch_seconds"] for part in epoch)
        # What comes after the last validation is in no epoch.
        assert 0.5 * result["seconds"] < seconds_to(result, min(result["curve"])) + sum(
            result["epoch_seconds"][1]
        )
        assert sum(map(sum, result["epoch_seconds"])) <= result["seconds"]


def test_time_to_an_accuracy():
    curve = [50.0, 80.0, 75.0, 90.0]
    run = {"curve": curve, "epoch_seconds": [[9.0, 1.0], [5.0, 1.0], [5.0, 1.0], [5.0, 1.0]]}
    assert [epochs_to(curve, a) for a in (10, 80, 81, 91)] == [1, 2, 4, None]
    assert [seconds_to(run, a) for a in (10, 80, 81, 91)] == [10, 16, 28, None]
    with pytest.raises(ValueError, match="run: expected epoch_seconds"):
        seconds_to({"curve": curve}, 80)


def test_a_table_has_the_time_to_the_target():
    keys = ("accuracy", "val_accuracy", "firing_rate", "spikes", "sops", "energy_nJ")
    base = dict.fromkeys((*keys, "parameters", "seconds"), 1.0)
    runs = [
        {
            **base,
            "neuron": "lif",
            "seed": seed,
            "target": 80.0,
            "curve": [50.0, best],
            "epoch_seconds": [[9.0, 1.0], [seconds, 1.0]],
        }
        for seed, (best, seconds) in enumerate([(80.0, 9.0), (85.0, 11.0), (79.0, 9.0)])
    ]
    old = {**base, "neuron": "if", "seed": 0}
    heading, _, *rows = markdown_table([*runs, old]).splitlines()
    assert heading.endswith("| time to 80 % [s]       |")
    assert rows[0].endswith("| 21.0 ± 1.4, 1 of 3 not |")
    assert rows[1].endswith("|                        |")
    assert "time to" not in markdown_table([old])
    assert "| 1 of 1 not " in markdown_table(runs[2:])


def test_a_target_is_an_accuracy(finished, tmp_path):
    with pytest.raises(ValueError, match=r"target: expected an accuracy in percent, got 0\.0"):
        compare([*TINY, "--target=0"], ["lif"], 1, tmp_path)
    with pytest.raises(ValueError, match=r"target is None there, 50\.0 here"):
        compare([*TINY, "--target=50"], ["lif"], 1, finished[0])
