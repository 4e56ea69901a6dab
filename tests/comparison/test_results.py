import json
from pathlib import Path

import pytest

from neurodyn.cli import main
from neurodyn.comparison.results import collect, write_page
from neurodyn.comparison.tables import commits, finished_runs, markdown_table, origin

ROOT = Path(__file__).parent.parent.parent


def start(date, command, commit="abc1234def", changed=False, gpu=None):
    return {
        "neurodyn": "1.0",
        "git": {"commit": commit, "changed": changed},
        "command": command.split(),
        "date": date,
        "packages": {"torch": "2.13"},
        "machine": {"gpu": gpu, "threads": 2, "processor": "Some CPU"},
    }


def finished(folder, neuron, seed, accuracy, starts):
    home = folder / neuron / f"seed-{seed}"
    log = home / "log" / "version_0"
    log.mkdir(parents=True)
    log.joinpath("metrics.csv").write_text("epoch,val_accuracy\n0,0.5\n1,0.75\n")
    result = {
        **dict.fromkeys(("firing_rate", "spikes", "sops", "energy_nJ", "parameters"), 1.0),
        "neuron": neuron,
        "seed": seed,
        "accuracy": accuracy,
        "val_accuracy": 75.0,
        "epochs": 2,
        "seconds": 1800.0,
        "starts": starts,
    }
    home.joinpath("result.json").write_text(json.dumps(result))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "runs" / "digits"
    later = start("2026-05-02T00:00", "neurodyn compare --neurons alif", gpu="H200")
    finished(place, "alif", 0, 91.0, [later])
    first = start("2026-05-01T00:00", "neurodyn compare --neurons plif")
    again = start("2026-05-03T00:00", "neurodyn compare --neurons plif", "fff1234", changed=True)
    finished(place, "plif", 0, 90.0, [first])
    finished(place, "plif", 1, 94.0, [first, again])
    return place


@pytest.fixture
def notes(tmp_path):
    place = tmp_path / "docs" / "results"
    place.mkdir(parents=True)
    page = "# R\n\n{{ digits: neurodyn compare }}\n\nProse.\n\n{{ mnist: neurodyn compare x }}\n"
    place.joinpath("page.md").write_text(page)
    return place


def test_a_table_is_of_everything_in_the_folder_in_the_order_it_was_begun(folder):
    rows = markdown_table(finished_runs(folder)).splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["plif", "alif"]
    assert "| plif   | 2     | 92.00 ± 2.83 " in rows[2]
    assert "| alif   | 1     | 91.00 " in rows[3]


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


def test_a_study_and_families_that_change_are_on_the_page(folder, notes):
    before = {"families": {"LIF-like": 1.0}}
    after = {"families": {"bistable": 1.0}}
    for neuron, last in (("plif", before), ("alif", after)):
        history = {"body.1": [before, last]}
        (folder / neuron / "seed-0" / "families.json").write_text(json.dumps(history))
    (folder / "convergence.md").write_text("| a table |\n")
    (folder / "convergence.png").write_bytes(b"a picture")
    held = json.loads(collect(folder, notes).read_text())
    assert list(held["families"]) == ["alif"]
    assert (notes / "digits.png").read_bytes() == b"a picture"
    assert (notes / "digits-families.png").is_file()
    page = write_page(notes, notes.parent / "results.md")
    assert "\n\n| a table |\n\n" in page
    assert "(results/digits-families.png)" in page


def test_a_page_has_what_was_run_and_names_what_was_not(folder, notes):
    collect(folder, notes)
    papers = [
        {
            "table": "mnist",
            "method": "Theirs",
            "network": "VGG",
            "timesteps": 4,
            "accuracy": 99.0,
            "std": 0.1,
            "source": "somebody 2025",
        }
    ]
    notes.joinpath("published.json").write_text(json.dumps(papers))
    page = write_page(notes, notes.parent / "results.md")
    digits, mnist = page.split("Prose.")
    assert "92.00 ± 2.83" in digits
    assert "(results/digits.png)" in digits
    assert "Not run yet" not in digits
    assert "**Not run yet.** The command:\n```\nneurodyn compare x\n```" in mnist
    assert "| Theirs    | VGG     | 4 | 99.00 ± 0.10      | somebody 2025 |" in mnist
    assert (notes / "digits.png").is_file()


@pytest.mark.parametrize(("lost", "named"), [([1], "seed 1"), ([0, 1, 2], "seeds 0, 1 and 2")])
def test_the_page_names_runs_that_diverged(lost, named, folder, notes):
    for seed in lost:
        home = folder / "qif" / f"seed-{seed}"
        home.mkdir(parents=True)
        why = f"loss {seed} is nan."
        (home / "diverged.json").write_text(
            json.dumps({"neuron": "qif", "seed": seed, "why": why, "starts": []})
        )
    collect(folder, notes)
    page = write_page(notes, notes.parent / "results.md")
    assert f"\n\nqif, {named}, diverged: loss {lost[0]} is nan.\n\n" in page


def test_nothing_is_left_off_the_page(folder, notes):
    collect(folder, notes)
    (notes / "digits.json").rename(notes / "stray.json")
    with pytest.raises(ValueError, match=r"stray\.json is on no line \{\{ stray: command \}\}"):
        write_page(notes, notes.parent / "results.md")


def test_the_page_of_this_project_is_what_its_notes_say(tmp_path):
    page = ROOT / "docs" / "results.md"
    written = page.read_text()
    notes = tmp_path / "docs" / "results"
    notes.mkdir(parents=True)
    for file in (ROOT / "docs" / "results").iterdir():
        (notes / file.name).write_bytes(file.read_bytes())
    assert write_page(notes, notes.parent / "results.md") == written, "run: neurodyn results"


def test_the_command(folder, notes, capsys, monkeypatch):
    monkeypatch.chdir(notes.parent.parent)
    assert main(["results", str(folder)]) == 0
    assert "92.00 ± 2.83" in Path("docs/results.md").read_text()
    assert main(["results", "nowhere"]) == 2
    assert "expected finished runs in nowhere" in capsys.readouterr().err
    assert main(["results", "--seeds", "3"]) == 2
    assert "got --seeds" in capsys.readouterr().err


def test_figures_of_papers_have_a_source():
    papers = json.loads((ROOT / "docs" / "results" / "published.json").read_text())
    for paper in papers:
        assert paper["source"]
        assert 0 < paper["accuracy"] < 100
