"""`neurodyn list`."""

import subprocess
import sys

import pytest

from neurodyn import data, models
from neurodyn.cli import checkout, main
from neurodyn.cli.listing import GROUPS, first_sentence
from neurodyn.layers import READOUTS
from neurodyn.training.find import recipe_names
from neurodyn.training.names import neuron_names

HEAVY = {"torch", "numpy", "lightning", "jsonargparse", "matplotlib", "yaml", "llvmlite"}


@pytest.fixture
def listed(capsys, monkeypatch):
    def run(*arguments, columns=300):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["list", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_every_line_has_a_name_and_says_something(listed):
    known = {
        "recipes": {*recipe_names()},
        "neurons": {*neuron_names()},
        "readouts": {*READOUTS},
    }
    for group in GROUPS:
        lines = listed(group)
        assert len({line.find("  ") for line in lines} - {-1}) > 0
        names = {line.split()[0] for line in lines}
        assert names == known.get(group, names)
        assert len(names) == len(lines) > 3
        texts = [line.split(maxsplit=1)[1] for line in lines]
        assert all(len(text) > 10 and not text.endswith((".", ":")) for text in texts), texts
        starts = {line.index(text) for line, text in zip(lines, texts, strict=True)}
        assert len(starts) == 1, "aligned"


def test_names_are_those_that_options_take(listed):
    for line in listed("data"):
        assert line.split()[0] in data.__all__
    assert not {"SampleData", "ImageData", "EventData"} & {i.split()[0] for i in listed("data")}
    assert {"ConvNet", "ResNet9"} <= {line.split()[0] for line in listed("networks")}
    assert all(hasattr(models, line.split()[0]) for line in listed("networks"))


def test_all_groups_have_headings_and_fit_the_terminal(listed):
    lines = listed(columns=60)
    assert {line for line in lines if line and line[0] != " "} == {*GROUPS}
    assert max(map(len, lines)) == 60
    assert any(line.endswith("…") for line in lines)


def test_a_module_of_mine_comes_last(listed):
    neurons = listed("neurons", "--import", "mine")
    assert [line.split(maxsplit=1) for line in neurons[-2:]] == [
        ["mine.Short"],
        ["mine.TwoState", "A membrane with a slow current"],
    ]
    assert listed("data")[-1].split(maxsplit=1) == ["mine.Data", "Noise of my own"]
    networks = [line.split()[0] for line in listed("networks")]
    assert [name for name in networks if "." in name] == ["mine.Net"]


def test_mistakes(capsys):
    assert main(["list", "neuron"]) == 2
    assert "list: unknown name 'neuron'. Did you mean 'neurons'?" in capsys.readouterr().err
    assert main(["list", "neurons", "data"]) == 2
    assert "list: expected one group, got data" in capsys.readouterr().err


def test_what_cannot_be_listed_says_why(listed, capsys, monkeypatch):
    monkeypatch.setattr(checkout, "CHECKOUT", checkout.CHECKOUT / "nowhere")
    monkeypatch.setitem(sys.modules, "lightning", None)
    text = "\n".join(listed())
    assert "studies\n    studies: this folder comes with the source checkout" in text
    assert "Install it with: pip install 'neurodyn[train]'" in text
    assert "  lnm  " in text, "the other groups are shown"
    for group in ("studies", "data"):
        assert main(["list", group]) == 2
    assert "comes with the source checkout" in capsys.readouterr().err


def test_recipes_and_studies_import_nothing_heavy():
    code = (
        "import sys; from neurodyn.cli import main; main(['list', 'recipes']);"
        "main(['list', 'studies']); print('imported:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*done.stdout.partition("imported:")[2].split()} & HEAVY


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("LIF with a gain (Jiang & Zhang, arXiv:2302.09238):\n\n    h = u", "LIF with a gain"),
        ("Exponential (J. Neurosci. 2003). More.", "Exponential"),
        (
            "CIFAR-10, T=4: loss, SGD at .1 and\na cosine. More",
            "CIFAR-10, T=4: loss, SGD at .1 and a cosine",
        ),
        ("Integrate and fire: `h = u`.", "Integrate and fire"),
        ("How many steps? A task.", "How many steps?"),
        ("One of `(3, 32)`", "One of `(3, 32)`"),
        ("", ""),
    ],
)
def test_first_sentence(text, sentence):
    assert first_sentence(text) == sentence
