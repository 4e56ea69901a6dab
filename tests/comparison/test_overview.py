import re

from neurodyn.comparison.overview import owed_last, slug, summary

PROSE = """# R

{{ summary }}

## A, one task
{{ a: neurodyn compare }}

## B
Prose.

{{ b: neurodyn compare --config b }}

## C
{{ c: neurodyn compare --config c }}

{{ c-long: neurodyn compare --config c-long }}

## D
{{ d: neurodyn study x }}

## Last
{{ owed }}
"""


def held(**scores):
    runs = [
        {"neuron": neuron.replace("_", ":"), "seed": seed, "score": score, "metric": "accuracy"}
        for neuron, found in scores.items()
        for seed, score in enumerate(found)
    ]
    return {"runs": runs}


TABLES = {
    "a": held(lif=(50.0, 52.0), lnm=(80.0, 82.0), wide=(90.0, 90.5)),
    "c": held(lif=(50.0, 60.0), lnm=(55.0, 65.0)),
    "d": held(lif=(1.0, 2.0)),
}


def test_a_row_per_task_and_in_bold_who_is_not_beaten(monkeypatch):
    monkeypatch.setattr("neurodyn.comparison.overview.USUAL", 2)
    heading, _, *rows = summary(PROSE, TABLES).splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in (heading, *rows)]
    assert cells[0] == ["task", "lif", "lnm", "best of the others"]
    assert cells[1] == [
        "[A, one task](#a-one-task)",
        "51.0 ± 1.4",
        "81.0 ± 1.4",
        "wide **90.2 ± 0.4**",
    ]
    assert cells[2] == ["[C](#c)", "**55.0 ± 7.1**", "**60.0 ± 7.1**", ""]
    assert len(cells) == 3, "a study is not a task"


def test_what_was_not_run_comes_last():
    text = owed_last(PROSE, TABLES)
    assert re.findall(r"^##+ .*$", text, re.MULTILINE) == [
        "## A, one task",
        "## C",
        "## D",
        "## Last",
        "### B",
    ]
    assert "- [C](#c): `neurodyn compare --config c-long`\n\n### B\nProse." in text
    assert text.count("{{ b: ") == 1
    assert owed_last("## A\n{{ a: x }}\n", {}) == "## A\n{{ a: x }}\n", "without the line: as it is"
    done = owed_last("## A\n{{ a: x }}\n\n## Owed\n{{ owed }}\n", TABLES)
    assert done.endswith("Nothing: all tables were run.\n")


def test_anchors_are_those_of_github():
    assert slug("CIFAR-10, ResNet-19, T=4") == "cifar-10-resnet-19-t4"
    assert slug("Where learned dynamics win, and where not") == (
        "where-learned-dynamics-win-and-where-not"
    )
