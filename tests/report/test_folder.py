import json

import numpy as np
import pytest

from neurodyn.report.folder import RunFolder, curves_of
from tests.report.runs import add


def states(folder):
    return {run.name: run.state for run in RunFolder(folder).runs}


def test_runs_of_every_kind(tmp_path):
    add(tmp_path, "lif", 1, 80.0)
    add(tmp_path, "lif", 0, 81.0)
    killed = add(tmp_path, "lnm", 0, 80.0)
    (killed / "result.json").unlink()
    (killed / "starts.json").write_text('[{"date": "2026-06-01"}]')
    wild = add(tmp_path, "wild", 0, 80.0)
    (wild / "result.json").unlink()
    lost = {"neuron": "wild", "seed": 0, "why": "loss is nan", "starts": []}
    (wild / "diverged.json").write_text(json.dumps(lost))
    old = add(tmp_path, "old", 0, 80.0)
    (old / "result.json").write_text('{"neuron": "old", "accuracy": 80.0}')
    (tmp_path / "empty" / "seed-0").mkdir(parents=True)
    assert states(tmp_path) == {
        "lif, seed 0": "finished",
        "lif, seed 1": "finished",
        "lnm, seed 0": "not finished",
        "wild, seed 0": "diverged",
        "old, seed 0": "not tested",
    }
    folder = RunFolder(tmp_path)
    assert folder.firsts()["lif"].seed == 0
    assert folder.chance == 50.0
    assert curves_of(folder.runs)["lif"] == [[61.0, 81.0], [60.0, 81.0]]
    assert "old/seed-0/result.json has no complete result" in folder.missing[0]


def test_a_single_run_and_a_fit(tmp_path):
    home = add(tmp_path, "lif", 3, 80.0)
    folder = RunFolder(home)
    assert [run.name for run in folder.runs] == ["lif, seed 3"]
    assert folder.title.endswith("lif / seed-3")
    fit = tmp_path / "fit" / "version_0"
    fit.mkdir(parents=True)
    (fit / "config.yaml").write_text("model: {}\n")
    (fit / "metrics.csv").write_text("epoch,val_score\n0,0.5\n0,\n1,0.75\n1,half")
    (run,) = RunFolder(fit).runs
    assert (run.state, run.curve, run.seed) == ("not tested", [50.0, 75.0], None)


def test_the_log_of_a_killed_run_goes_on_in_that_of_its_resumption(tmp_path):
    home = add(tmp_path, "lif", 0, 80.0)
    (home / "result.json").unlink()
    (home / "starts.json").write_text("[]")
    for version, rows in enumerate(["0,0.1\n1,0.2", "1,0.3\n2,0.4"]):
        log = home / "log" / f"version_{version}"
        log.mkdir(parents=True)
        (log / "metrics.csv").write_text(f"epoch,val_score\n{rows}\n")
    (run,) = RunFolder(tmp_path).runs
    assert run.curve == pytest.approx([10.0, 30.0, 40.0])


@pytest.mark.parametrize("name", ["result.json", "dynamics.npz", "activity.json", "families.json"])
def test_damaged_files_are_named_and_the_rest_is_shown(tmp_path, name):
    home = add(tmp_path, "lif", 0, 80.0)
    (home / name).write_bytes(b"\xff{half")
    folder = RunFolder(tmp_path)
    (run,) = folder.runs
    assert folder.course(run) is None or name != "dynamics.npz"
    assert folder.activity(run) is None or name != "activity.json"
    assert folder.families(run) == {}
    assert any(name in line for line in folder.missing)


def test_a_course_that_would_run_code_is_not_read(tmp_path):
    home = add(tmp_path, "lif", 0, 80.0)
    np.savez(home / "dynamics.npz", epochs=np.array([print], dtype=object))
    folder = RunFolder(tmp_path)
    assert folder.course(folder.runs[0]) is None
    assert "allow_pickle=False" in folder.missing[0]


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="in which there is neither"):
        RunFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="found none at"):
        RunFolder(tmp_path / "nowhere")
