import pytest

from neurodyn.comparison.folder import write_json
from studies import find
from studies.sweep import conclude, plot_sweep

RUNS = [(0, 8, 20.0), (0, 8, 30.0), (10, 8, 99.0), (2, 8, 50.0), (10, 32, 100.0)]


@pytest.fixture
def folder(tmp_path):
    for number, (order, width, accuracy) in enumerate(RUNS):
        place = tmp_path / f"run-{number}" / "seed-0"
        place.mkdir(parents=True)
        neuron = f"delayed:order={order}:model.network.widths=[{width},{width}]"
        start = {"date": f"2026-01-0{number + 1}"}
        result = {"neuron": neuron, "seed": 0, "score": accuracy, "starts": [start]}
        write_json(place / "result.json", result)
    return tmp_path


def test_table_and_picture(folder):
    table = find("delays").conclude(folder)
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    assert cells[0] == ["widths", "order 0", "order 2", "order 10"]
    assert cells[2:] == [["[8,8]", "25.0 ± 7.1", "50.0", "99.0"], ["[32,32]", "", "", "100.0"]]
    assert (folder / "study.md").read_text() == f"{table}\n"
    assert (folder / "study.png").is_file()


def test_a_curve_for_each_value():
    grid = {"8": {"0": (20.0, 1.0), "10": (99.0, 0.5)}, "32": {"0": (30.0, 0.0)}}
    axis = plot_sweep(grid, "order", "width").axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["width 8", "width 32"]
    assert axis.lines[0].get_xdata().tolist() == [0.0, 10.0]
    assert 0 < axis.lines[-1].get_xdata()[0] < 0.5, "bars side by side"
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0", "10"]
    assert axis.lines[0].get_ydata().tolist() == [20.0, 99.0]


def test_no_runs_of_the_sweep(folder):
    with pytest.raises(FileNotFoundError, match="expected runs with 'degree' and 'widths' in"):
        conclude(folder, "degree", "widths")


def test_a_contender_by_a_name_of_its_own_has_no_place_on_a_curve(folder):
    table, _ = conclude(folder, "order", "model.network.widths")
    place = folder / "named" / "seed-0"
    place.mkdir(parents=True)
    start = {"date": "2026-01-09"}
    named = {"neuron": "mine", "seed": 0, "score": 1.0, "starts": [start]}
    write_json(place / "result.json", named)
    assert conclude(folder, "order", "model.network.widths")[0] == table


@pytest.mark.parametrize("name", ["degree", "degree-long", "delays"])
def test_a_sweep_is_over_options_of_all_contenders_of_its_study(name, tmp_path):
    study = find(name)
    for number, text in enumerate(study.contenders_from()):
        start = {"date": f"2026-01-01T{number:02}"}
        result = {"neuron": text, "seed": 0, "score": 90.0, "starts": [start]}
        write_json(tmp_path / str(number) / "seed-0" / "result.json", result)
    assert study.conclude(tmp_path).count(" 90.0 ") == len(study.contenders)
