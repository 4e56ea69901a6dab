"""The page as text: what it shows, what it says is missing, and that nothing in it is trusted."""

import html.parser
import json
import re

import pytest

from neurodyn.cli import _write_page
from neurodyn.report import page as pages
from neurodyn.report import write_page
from neurodyn.report.html import el, json_block
from tests.report.runs import HOSTILE, add

BROKEN = "could not be drawn"


class Outline(html.parser.HTMLParser):
    """Tags, ids and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]


@pytest.fixture
def folder(tmp_path):
    for seed in (0, 1):
        add(tmp_path, "lif", seed, 70.0 + seed)
        add(tmp_path, "planar", seed, 90.0 + seed, modes=True)
    return tmp_path


def test_a_page_has_every_section(folder):
    path = write_page(folder, read_data=False)
    assert path == folder / "report.html"
    text = path.read_text()
    assert "planar is ahead of lif by 20.0 points (by seed 20.0 to 20.0)." in text
    assert "<strong>90.50 ± 0.71</strong>" in text
    assert "<strong>70.50" not in text
    assert BROKEN not in text
    ids = Outline(text).ids
    for anchor in ("results", "final-results-by-seed", "learning-curves", "samples"):
        assert anchor in ids
    for anchor in ("what-the-neurons-learned", "answers-by-class", "energy-by-layer"):
        assert anchor in ids
    assert "layer 1, 64 neurons" in text
    assert "body.1" not in text.partition("<details>")[0]
    assert "chance 50 %" in text or "Chance is 50 %." in text
    assert "the data were not asked for" in text


def test_nothing_is_loaded_from_elsewhere(folder):
    text = write_page(folder, read_data=False).read_text()
    found = [value for name, value in Outline(text).attributes if name in ("src", "href", "action")]
    assert all(value.startswith("#") for value in found)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src &#x27;none&#x27;" in text


def test_names_from_a_folder_are_text(folder):
    home = add(folder, "mine", 0, 50.0, label=HOSTILE, metric="accuracy")
    (home / "config.yaml").write_text(json.dumps({"model": {HOSTILE: HOSTILE}}))
    (home / "families.json").write_text(json.dumps({"body.1": [{"families": {HOSTILE: 1}}] * 3}))
    add(folder, "worse", 0, 50.0, label="w", beside={HOSTILE: 1.0}, starts=[{"date": HOSTILE}])
    text = write_page(folder, read_data=False).read_text()
    assert BROKEN not in text
    outline = Outline(text)
    assert "img" not in outline.tags
    assert outline.tags.count("script") == 2
    assert "&lt;/script&gt;&lt;script&gt;window.hacked" in text


def test_text_is_escaped_and_data_cannot_end_their_element():
    assert el("p", "<b>", class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;</p>'
    block = json_block("data", {"name": "</script>\u2028"})
    assert block.count("</script>") == 1
    assert json.loads(re.search(r">(.*)<", block)[1]) == {"name": "</script>\u2028"}
    with pytest.raises(ValueError, match="Out of range"):
        json_block("data", float("nan"))


@pytest.mark.parametrize(
    "harm",
    [
        {"confusion": [[1, 2], [3]]},
        {"confusion": "many"},
        {"curve": ["high", None]},
        {"starts": "yesterday"},
        {"starts": [{"date": 3, "command": 4, "machine": [], "git": "x", "packages": 1}]},
        {"beside": None},
        {"metric": None},
    ],
    ids=lambda harm: next(iter(harm)),
)
def test_a_strange_result_does_not_cost_the_page(folder, harm):
    add(folder, "odd", 0, 60.0, **harm)
    text = write_page(folder, read_data=False).read_text()
    assert "planar is ahead of" in text
    assert "learning-curves" in text


def test_what_is_missing_is_said(folder):
    for home in folder.glob("*/seed-*"):
        for name in ("dynamics.npz", "activity.json", "config.yaml"):
            (home / name).unlink()
    text = write_page(folder, read_data=False).read_text()
    assert "No dynamics were recorded for lif, planar" in text
    assert "No run has recorded the activity of its layers" in text
    assert "No run has settings" in text


def test_runs_without_a_result_have_a_page(tmp_path):
    home = add(tmp_path, "lif", 0, 70.0)
    (home / "result.json").unlink()
    lost = {"neuron": "lif", "seed": 0, "why": "loss <is> nan.", "starts": []}
    (home / "diverged.json").write_text(json.dumps(lost))
    stopped = add(tmp_path, "lnm", 0, 70.0)
    (stopped / "result.json").unlink()
    (stopped / "starts.json").write_text("[]")
    text = write_page(tmp_path, read_data=False, out=tmp_path / "other.html").read_text()
    assert "No run has been tested" in text
    assert "lif, seed 0, diverged: loss &lt;is&gt; nan." in text
    assert "lnm, seed 0: stopped before the end, and not tested" in text
    assert BROKEN not in text


def test_the_conclusion_of_a_study_is_on_the_page(folder):
    (folder / "study.md").write_text("| <degree> | 3 |")
    assert "| &lt;degree&gt; | 3 |</pre>" in write_page(folder, read_data=False).read_text()


def test_a_comparison_survives_its_page(tmp_path, capsys):
    _write_page(tmp_path / "nowhere")
    assert "no page was written: FileNotFoundError" in capsys.readouterr().err


def test_a_page_that_is_too_large_has_fewer_epochs(folder, monkeypatch):
    whole = len(write_page(folder, read_data=False).read_text())
    monkeypatch.setattr(pages, "LIMIT", whole - 1)
    assert len(write_page(folder, read_data=False).read_text()) < whole
