import pytest

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.folder import write_json
from neurodyn.models import SequenceNet
from studies import POWERS, find
from studies.nonlinearity import conclude, plot_scores

SCORES = {"planar": (80.0, 82.0), "modal:modes=2": (84.0, 86.0), "planar:degree=2": (90.0, 91.0)}
BESIDE = {"planar:degree=2": ["planar", "modal:modes=2"], "planar:degree=3": ["planar"]}


def runs(folder, scores):
    for number, (neuron, values) in enumerate(scores.items()):
        for seed, score in enumerate(values):
            start = {"date": f"2026-01-0{number + 1}"}
            result = {"neuron": neuron, "seed": seed, "score": score, "starts": [start]}
            place = folder / str(number) / f"seed-{seed}"
            write_json(place / "result.json", {**result, "parameters": 1000 + number})


def test_the_table_names_both_neurons_and_who_is_ahead(tmp_path):
    runs(tmp_path, SCORES)
    table, _ = conclude(tmp_path, BESIDE)
    *lines, _, sentence = table.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[2] == [
        *("planar:degree=2", "90.50 ± 0.71", "1,002", "ahead of"),
        *("planar", "81.00 ± 1.41", "1,000"),
    ]
    assert cells[3][3:5] == ["ahead of", "modal:modes=2"]
    assert len(cells) == 4, "no row for what was not run"
    assert sentence == "Powers are ahead of every linear neuron beside them in planar:degree=2."


@pytest.mark.parametrize(
    ("scores", "words"), [((85.0, 86.0), "level with"), ((70.0, 71.0), "behind")]
)
def test_ahead_of_one_linear_neuron_is_not_enough(scores, words, tmp_path):
    runs(tmp_path, {**SCORES, "planar:degree=2": scores, "planar": (60.0, 61.0)})
    table, _ = conclude(tmp_path, BESIDE)
    assert "ahead of" in table.splitlines()[2]
    assert words in table.splitlines()[3]
    assert table.endswith("beside them in none of these neurons.")


def test_one_seed_is_ahead_of_nothing(tmp_path):
    runs(tmp_path, {name: values[:1] for name, values in SCORES.items()})
    table, _ = conclude(tmp_path, BESIDE)
    assert "ahead" not in table
    assert "90.00" in table


def test_the_best_is_on_top():
    scores = {"planar": (90.0, 1.0), "planar:degree=2": (80.0, 0.0), "other": (85.0, 0.5)}
    axis = plot_scores(scores, dict.fromkeys(scores, 7), BESIDE).axes[0]
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert names == ["planar:degree=2  (7)", "other  (7)", "planar  (7)"]
    assert [line.get_label() for line in axis.get_legend().get_texts()]
    assert {text.get_text() for text in axis.get_legend().get_texts()} == {"linear", "with powers"}


def test_no_runs_to_hold_side_by_side(tmp_path):
    runs(tmp_path, {"planar": (80.0,)})
    with pytest.raises(FileNotFoundError, match="a non-linear neuron and a linear one beside"):
        find("nonlinearity").conclude(tmp_path)


def test_linear_neurons_beside_have_as_many_parameters():
    def parameters(text):
        contender = Contender.parse(text)
        options = dict(option.split("=") for option in contender.options)
        types = {"degree": int, "modes": int, "oscillate": lambda word: word == "true"}
        given = {key: types.get(key, str)(value) for key, value in options.items()}
        network = SequenceNet(lambda f: contender.cls(f, **given), (3,), 2, (8, 8))
        return sum(value.numel() for value in network.parameters())

    for name, (same, many) in POWERS.items():
        assert parameters(same) < parameters(name) <= parameters(many)
