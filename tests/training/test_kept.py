"""A run of a fitted cell keeps the cell: its folder may go, or be of another fit."""

import json
import re
import shutil
import warnings

import pytest
import torch
import yaml

import neurodyn
from neurodyn import LIF
from neurodyn.biophysics import RecordedNeuron
from neurodyn.cli import main
from neurodyn.comparison.compare import run_comparison
from neurodyn.report.folder import RunFolder
from neurodyn.report.probe import probe
from neurodyn.training.card import write_card
from tests.biophysics.fitting.test_layer import made
from tests.comparison.stopped import stopped_at
from tests.comparison.test_run import TINY

CELL = "cell@neurodyn.biophysics.RecordedNeuron:cell=cells/a:dt=8"


def written(refractory=4.0):
    cell = made(LIF())
    cell.model.refractory = refractory
    return cell.save("cells/a/cell.json")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder, in which there is a cell."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells" / "a").mkdir(parents=True)
    written()
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a comparison whose cell is gone."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "cells" / "a").mkdir(parents=True)
        written()
        run_comparison(TINY, [CELL], 1, folder / "out")
        shutil.rmtree(folder / "cells")
    return folder / "out"


@pytest.fixture
def out(trained, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(trained, tmp_path / "out")


def config(home):
    return yaml.safe_load((home / "config.yaml").read_text())


def options(home):
    return config(home)["model"]["network"]["init_args"]["neuron"]["init_args"]


def with_cell(home, change):
    """Rewrite the cell in a run's settings."""
    found = config(home)
    given = found["model"]["network"]["init_args"]["neuron"]["init_args"]
    given["cell"] = change(given["cell"])
    (home / "config.yaml").write_text(yaml.safe_dump(found))


def outputs(home):
    x = torch.rand(4, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return neurodyn.load(home).network(x)


def test_the_settings_have_what_the_file_had(out, home):
    kept = options(out / "cell" / "seed-0")["cell"]
    content = json.loads((home / "cells" / "a" / "cell.json").read_text())
    assert kept == {"from": "cells/a", **content}


def test_without_the_folder_a_run_is_loaded_and_has_a_card_and_a_report(out, home):
    shutil.rmtree("cells")
    run = out / "cell" / "seed-0"
    network = neurodyn.load(run).network
    assert sum(isinstance(part, RecordedNeuron) for part in network.modules()) == 2
    card = write_card(neurodyn.load(run), home / "card")
    assert torch.equal(outputs(card), outputs(run))
    assert probe(run, {}).answers
    shown = RunFolder(out)
    settings = shown.settings(shown.runs[0])
    key = "model.network.init_args.neuron.init_args.cell"
    (cell,) = [value for name, value in settings.items() if name.startswith(key)]
    assert re.fullmatch(r"cells/a \([0-9a-f]{8}\)", cell)


def test_another_fit_in_the_folder_changes_no_run(out, home):
    run = out / "cell" / "seed-0"
    shutil.rmtree("cells")
    before = outputs(run)
    assert before.abs().sum() > 0
    (home / "cells" / "a").mkdir(parents=True)
    written(refractory=30.0)
    assert torch.equal(outputs(run), before)
    assert all(n.wait == 0 for n in neurodyn.load(run).neurons.values())


@pytest.mark.parametrize("there", ["gone", "broken", "another"])
def test_a_killed_run_goes_on_with_its_own_cell(there, trained, home):
    with stopped_at(1):
        run_comparison(TINY, [CELL], 1, home / "out")
    if there == "gone":
        shutil.rmtree("cells")
    elif there == "broken":
        (home / "cells" / "a" / "cell.json").write_text("{")
    else:
        written(refractory=30.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run_comparison(TINY, [CELL], 2, home / "out")
    said = any("cells/a has another content than when the run" in str(w.message) for w in told)
    assert said == (there == "another")
    runs = [home / "out" / "cell" / f"seed-{seed}" for seed in (0, 1)]
    # The other seed is a row of the same contender.
    assert options(runs[0]) == options(runs[1]) == options(trained / "cell" / "seed-0")
    one, two = (
        torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
        for run in (runs[0], trained / "cell" / "seed-0")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_folder_is_another_setting(out, home):
    shutil.copytree("cells/a", "cells/b")
    with pytest.raises(
        ValueError, match=r"other settings: .*cell is cells/a \(\w{8}\) there, cells/b"
    ):
        run_comparison(TINY, [CELL.replace("cells/a", "cells/b")], 1, out)


def test_a_start_that_trained_nothing_keeps_no_cell(home):
    failed = home / "out" / "cell" / "seed-0"
    failed.mkdir(parents=True)
    (failed / "config.yaml").write_text("model: {}\ndata: {}\n")
    written(refractory=30.0)
    run_comparison([*TINY, "--trainer.max_epochs=1"], [CELL], 1, home / "out")
    assert options(failed)["cell"]["refractory_ms"] == 30.0


def test_runs_of_earlier_versions_name_the_folder_alone(out, home):
    run = out / "cell" / "seed-0"
    before = outputs(run)
    with_cell(run, lambda cell: cell["from"])
    assert options(run)["cell"] == "cells/a"
    assert torch.equal(outputs(run), before)
    (run / "result.json").unlink()
    run_comparison(TINY, [CELL], 1, out)
    assert options(run)["cell"] == "cells/a"
    shutil.rmtree("cells")
    with pytest.raises(
        FileNotFoundError, match=r"cell: expected a file .* got cells/a; there is no"
    ):
        neurodyn.load(run)


def test_fit_goes_on_from_its_checkpoint_and_test_needs_no_folder(home, capsys):
    neuron = CELL.partition("@")[2]
    words = [*TINY, "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]
    words += ["--trainer.enable_model_summary=false", "--neuron", neuron]
    assert main(["fit", *words]) == 0, capsys.readouterr().err
    shutil.rmtree("cells")
    place = home / "runs" / "fit" / "version_0"
    best, last = (str(place / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    assert main(["fit", *words, "--trainer.max_epochs=2", f"--ckpt_path={last}"]) == 0
    assert main(["test", *words, f"--ckpt_path={best}"]) == 0
    assert options(home / "runs" / "fit" / "version_1") == options(place)
    capsys.readouterr()
    assert main(["fit", *words]) == 2
    assert "neurodyn: cell: expected a file of Fitted.save, or a" in capsys.readouterr().err


BROKEN = {
    "a shape": (lambda c: c["parameters"]["w"].pop(), r"w of shape \(1,\); the model has \(2,\)"),
    "a number": (lambda c: c["parameters"].update(level=float("nan")), "got level = nan"),
    "a word": (lambda c: c["parameters"].update(level="high"), "whole fitted cell, got"),
    "a name": (lambda c: c["parameters"].pop("level"), "level of shape none"),
    "a part": (lambda c: c.pop("lags_ms"), "got no 'lags_ms'"),
    "a timestep": (lambda c: c.update(dt_ms=0), "got the time 0 ms"),
    "a time": (lambda c: c.update(currents_ms=[8.0, "x"]), "got the time 'x' ms"),
    "times": (lambda c: c.update(thresholds_ms=3), "whole fitted cell, got"),
    "a neuron": (lambda c: c.update(neuron="Popen"), "neuron: unknown name 'Popen'"),
    "a list": (lambda c: c.update(neuron=["LIF"]), r"neuron: unknown name \['LIF'\]"),
    "a threshold": (lambda c: c["parameters"].update(level=0.0), "above the rest .* got level 0"),
    "a membrane": (lambda c: c["parameters"].update(log_share=1e4), "time constant, got .* inf"),
    "a barrier": (lambda c: c.update(barrier="high"), "could not convert"),
    "an option": (lambda c: c["neuron_options"].update(reset=["a"]), r"\['a'\] as the neuron's"),
    "a version": (lambda c: c.update(format="neurodyn fitted cell 9"), "of another version; fit"),
    "a format": (lambda c: c.update(format="other"), "expected a file that Fitted.save wrote"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_numbers_are_named(what, out):
    spoil, message = BROKEN[what]

    def broken(cell):
        spoil(cell)
        return cell

    run = out / "cell" / "seed-0"
    with_cell(run, broken)
    with pytest.raises(ValueError, match=rf"config\.yaml: .*cell: .*{message}"):
        neurodyn.load(run)


def test_a_cell_of_settings_runs_no_code(out):
    run = out / "cell" / "seed-0"
    with_cell(run, lambda _: {"class_path": "subprocess.Popen", "init_args": {"args": "true"}})
    with pytest.raises(ValueError, match="not allowed"):
        neurodyn.load(run)
