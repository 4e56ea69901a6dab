import pytest

from neurodyn.comparison.folder import by_neuron, curves, finished_runs, write_json
from neurodyn.files import read_json
from tests.comparison.runs import finished, start


def test_runs_come_in_the_order_in_which_their_neurons_were_begun(tmp_path):
    for neuron, seed, date in (("b", 1, "3"), ("b", 0, "4"), ("a", 0, "5"), ("c", 0, "2")):
        finished(tmp_path, neuron, seed, 90.0, [start(date, "neurodyn compare")])
    runs = finished_runs(tmp_path)
    assert [run["folder"] for run in runs] == ["c/seed-0", "b/seed-0", "b/seed-1", "a/seed-0"]
    assert by_neuron(runs, lambda run: run["seed"]) == {"c": [0], "b": [0, 1], "a": [0]}


def test_a_result_without_its_curve_is_named(tmp_path):
    finished(tmp_path, "lif", 0, 90.0, [start("1", "neurodyn compare")])
    (run,) = finished_runs(tmp_path)
    assert curves([run]) == {"lif": [[50.0, 75.0]]}
    del run["curve"]
    with pytest.raises(ValueError, match="lif, seed 0 is of an older version and has none"):
        curves([run])


def test_a_result_of_an_older_version_is_named(tmp_path):
    finished(tmp_path, "lif", 0, 90.0, [start("1", "neurodyn compare")])
    path = tmp_path / "lif" / "seed-0" / "result.json"
    result = read_json(path)
    write_json(path, {"accuracy": result.pop("score"), **result})
    with pytest.raises(ValueError, match=r"result\.json: found a result without a score"):
        finished_runs(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    write_json(tmp_path / "deep" / "note.json", [1])
    assert read_json(tmp_path / "deep" / "note.json") == [1]
    for content, why in ((b"{half", "Expecting"), (b"\xff", "'utf-8' codec")):
        (tmp_path / "note.json").write_bytes(content)
        with pytest.raises(ValueError, match=rf"note\.json: expected JSON, got {why}"):
            read_json(tmp_path / "note.json")
