import json

import pytest
import yaml

pytest.importorskip("neuralop")
pytest.importorskip("efel")
from benchmarks import _arms, _neuron, noble
from tests.biophysics.noble.test_training import fit


@pytest.mark.slow
def test_the_benchmark_reads_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fit() == 0
    run = "runs/fit/version_0"
    assert fit(f"--model.start_from={run}/checkpoints/best.ckpt", config="noble-sag") == 0
    assert fit("--model.network.embed.slope=0") == 0
    monkeypatch.setattr(_neuron, "installed", lambda: False)
    arguments = ["noble", "--runs", f"ours={run}", "--sag", "tuned=runs/fit/version_1"]
    arguments += ["--arms", f"both={run}", "threshold=runs/fit/version_2"]
    places = [f"--out={tmp_path / 'out'}", f"--pictures={tmp_path / 'out'}", "--rounds=1"]
    monkeypatch.setattr("sys.argv", [*arguments, *places])
    noble.main()
    found = json.loads((tmp_path / "out" / "noble.json").read_text())
    assert [row.split(",")[0] for row in found["rows"]] == ["| ours", "| ours"]
    assert len(found["arms"]) == 4
    assert found["arms"][0].split("|")[2:] == found["rows"][0].split("|")[2:]
    assert found["arms"][2].split("|")[2:] != found["rows"][0].split("|")[2:]
    assert found["speed"]["our kernel, 512 at a time"] > 0
    assert {"before", "tuned"} == {*found["sag"]}
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"noble-traces.png", "noble-rates.png", "noble-plane.png"}
    page = (tmp_path / "out" / "noble.md").read_text()
    assert "grid twice as fine" in page
    arms = f"--arms both={run} threshold=runs/fit/version_2"
    assert f"`neurodyn bench noble --runs ours={run} {arms} --sag tuned=runs/fit/version_1`" in page
    assert "each run with 2 epochs of 16 traces, schedule plateau" in page


def test_arms_have_one_training(tmp_path):
    for name, lr in (("one", 0.1), ("other", 0.2)):
        network = {"init_args": {"embed": {"slope": lr}, "width": 8}}
        model = {"class_path": "Noble", "init_args": {"network": network, "lr": lr}}
        config = {"seed_everything": 0, "trainer": {"max_epochs": 2}, "model": model, "data": {}}
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config))
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    _arms.check_equal({"a": one, "b": one})
    with pytest.raises(SystemExit, match=r"another model\.lr for b than for a"):
        _arms.check_equal({"a": one, "b": other})
