import json

import pytest

pytest.importorskip("neuralop")
pytest.importorskip("efel")
from benchmarks import _neuron, noble
from tests.biophysics.noble.test_training import fit


@pytest.mark.slow
def test_the_benchmark_reads_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fit() == 0
    run = "runs/fit/version_0"
    assert fit(f"--model.start_from={run}/checkpoints/best.ckpt", config="noble-sag") == 0
    monkeypatch.setattr(_neuron, "installed", lambda: False)
    arguments = ["noble", "--runs", f"ours={run}", "--sag", "tuned=runs/fit/version_1"]
    places = [f"--out={tmp_path / 'out'}", f"--pictures={tmp_path / 'out'}", "--rounds=1"]
    monkeypatch.setattr("sys.argv", [*arguments, *places])
    noble.main()
    found = json.loads((tmp_path / "out" / "noble.json").read_text())
    assert [row.split(",")[0] for row in found["rows"]] == ["| ours", "| ours"]
    assert found["speed"]["our kernel, 512 at a time"] > 0
    assert {"before", "tuned"} == {*found["sag"]}
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"noble-traces.png", "noble-rates.png", "noble-plane.png"}
    assert "grid twice as fine" in (tmp_path / "out" / "noble.md").read_text()
