import json
import re
import sys

import pytest

from neurodyn.comparison.folder import finished_runs, write_json
from neurodyn.comparison.provenance import ROUNDING, commits, origin, provenance
from tests.comparison.runs import start


def test_a_table_says_where_it_comes_from(folder):
    text = origin(finished_runs(folder))
    assert "neurodyn compare --neurons plif\nneurodyn compare --neurons alif\n" in text
    code = "commits: alif: abc1234; plif: abc1234, fff1234+ (+ with uncommitted changes)"
    assert f"{code}; PyTorch 2.13, " in text
    assert "on 2 threads of Some CPU and H200" in text
    assert "2026-05-01 to 2026-05-03" in text
    assert "2 epochs" in text
    assert "1.50 hours" in text


def test_a_row_says_by_which_commit_it_was_run():
    def run(neuron, *codes):
        made = [start("2026-05-01", "x", code.rstrip("+"), "+" in code) for code in codes]
        return {"neuron": neuron, "starts": made}

    a, b, c = "aaaaaaaa", "bbbbbbbb", "cccccccc"
    assert commits([run("lif", a), run("lif", a), run("plif", a)]) == "commit aaaaaaa"
    assert commits([run("lif", a), run("plif", a), run("qif", b)]) == (
        "commits: qif: bbbbbbb; the others: aaaaaaa"
    )
    text = commits([run("lif", a), run("plif", b, a), run("plif", f"{c}+")])
    assert text == ("commits: plif: bbbbbbb to ccccccc+; lif: aaaaaaa (+ with uncommitted changes)")


def test_provenance_is_json(tmp_path, monkeypatch):
    for name in ROUNDING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    write_json(tmp_path / "deep" / "note.json", provenance())
    note = json.loads((tmp_path / "deep" / "note.json").read_text())
    assert note["machine"]["cores"] >= 1
    assert re.fullmatch(r"[\w-]+, [\w ]+", note["machine"]["instructions"])
    assert note["machine"]["environment"] == {"MKL_CBWR": "COMPATIBLE"}
    one = {"score": 1, "neuron": "lif", "epochs": 1, "seconds": 1, "starts": [note]}
    assert f"({note['machine']['instructions']})" in origin([one]) or note["machine"]["gpu"]
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "note.json"]


@pytest.mark.parametrize("program", ["/bin/neurodyn", "/lib/neurodyn/__main__.py"])
def test_a_command_says_nothing_of_the_place_of_the_data(program, monkeypatch):
    given = ["fit", "--data.root", "/home/me", "--data.limit", "9", "--data.root=/home/me"]
    monkeypatch.setattr(sys, "argv", [program, *given])
    assert provenance()["command"] == ["neurodyn", "fit", "--data.limit", "9"]
