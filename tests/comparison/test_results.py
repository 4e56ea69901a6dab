import json
from pathlib import Path

import pytest

from neurodyn.cli import main
from neurodyn.comparison.results import collect, write_page

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def notes(tmp_path):
    place = tmp_path / "docs" / "results"
    place.mkdir(parents=True)
    page = "# R\n\n{{ digits: neurodyn compare }}\n\nProse.\n\n{{ mnist: neurodyn compare x }}\n"
    place.joinpath("page.md").write_text(page)
    return place


def test_a_study_and_families_that_change_are_on_the_page(folder, notes):
    before = {"families": {"LIF-like": 1.0}}
    after = {"families": {"bistable": 1.0}}
    for neuron, last in (("plif", before), ("alif", after)):
        history = {"body.1": [before, last]}
        (folder / neuron / "seed-0" / "families.json").write_text(json.dumps(history))
    (folder / "study.md").write_text("| a table |\n")
    (folder / "study.png").write_bytes(b"a picture")
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
    (notes / ".digits-killed.json").write_text("{half")
    assert "92.00" in write_page(notes, notes.parent / "results.md")
    (notes / "digits.json").rename(notes / "stray.json")
    with pytest.raises(
        ValueError, match=r"stray\.json belongs to no line .* \{\{ stray: command \}\}"
    ):
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
    before = {path: path.read_bytes() for path in notes.iterdir()}
    stray = folder.rename(folder.with_name("stray"))
    assert main(["results", str(stray)]) == 2
    assert "stray.json belongs to no line" in capsys.readouterr().err
    assert main(["results", str(stray), "--notes", "elsewhere"]) == 2
    assert "run this in a checkout" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in notes.iterdir()} == before
    assert main(["results", "nowhere"]) == 2
    assert "expected finished runs in nowhere" in capsys.readouterr().err
    assert main(["results", "--seeds", "3"]) == 2
    assert "got --seeds" in capsys.readouterr().err


def test_figures_of_papers_have_a_source():
    papers = json.loads((ROOT / "docs" / "results" / "published.json").read_text())
    for paper in papers:
        assert paper["source"]
        assert 0 < paper["accuracy"] < 100
