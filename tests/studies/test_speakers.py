import pytest

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.folder import write_json
from studies import each_tested, find
from studies.speakers import conclude, plot_speakers, speaker_table, turns_of

RUNS = [
    ("lif/ann", 0, 40.0, 90.0),
    ("lif/ann", 1, 50.0, 90.0),
    ("lif/bob", 0, 60.0, 80.0),
    ("lif/bob", 1, 66.0, 90.0),
    ("planar/ann", 0, 70.0, 99.0),
    ("planar/ann", 1, 10.0, 10.0),
    ("planar/bob", 0, 80.0, 97.0),
    ("planar", 0, 1.0, 1.0),
]


@pytest.fixture
def folder(tmp_path):
    for number, (neuron, seed, score, known) in enumerate(RUNS):
        place = tmp_path / neuron.replace("/", "+") / f"seed-{seed}"
        place.mkdir(parents=True)
        start = {"date": f"2026-01-0{number + 1}"}
        result = {"neuron": neuron, "seed": seed, "score": score, "val_score": known}
        write_json(place / "result.json", {**result, "starts": [start]})
    return tmp_path


def test_each_speaker_beside_those_who_are_known(folder):
    table = find("speakers").conclude(folder)
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    assert cells[0] == ["neuron", "ann", "bob", "unknown, mean", "known, mean", "gap"]
    assert cells[2:] == [
        ["lif", "45.0 ± 7.1", "63.0 ± 4.2", "54.0 ± 5.7", "87.5 ± 3.5", "33.5 ± 2.1"],
        ["planar", "40.0 ± 42.4", "80.0", "75.0", "98.0", "23.0"],
    ], "a seed that has not been through all turns is in no mean over them"
    assert (folder / "study.md").read_text() == f"{table}\n"
    assert (folder / "study.png").is_file()


def test_a_line_from_unknown_to_known():
    runs = [
        {"neuron": name, "seed": seed, "score": score, "val_score": known}
        for name, seed, score, known in RUNS
    ]
    axis = plot_speakers(turns_of(runs)).axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["lif", "planar"]
    (lines,) = axis.collections
    ends = [[float(x) for x, _ in path.vertices] for path in lines.get_paths()]
    assert ends == [[54.0, 87.5], [75.0, 98.0]]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["known, mean", "unknown, mean", "ann", "bob"]


def test_a_contender_that_lacks_a_speaker_has_no_mean():
    runs = [{"neuron": "lif/ann", "seed": 0, "score": 40.0, "val_score": 90.0}]
    runs.append({"neuron": "lnm/bob", "seed": 0, "score": 50.0, "val_score": 90.0})
    turns = turns_of(runs)
    rows = [[c.strip() for c in r.split("|")[1:-1]] for r in speaker_table(turns).splitlines()]
    assert rows[2:] == [["lif", "40.0", "", "", "", ""], ["lnm", "", "50.0", "", "", ""]]
    assert plot_speakers(turns).axes


def test_no_runs_of_the_study(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder: expected runs named contender/speaker"):
        conclude(tmp_path)


def test_every_contender_is_tested_on_every_speaker():
    found = each_tested({"lif": "lif", "soft": "lif:reset=soft"}, ["ann", "bob"], "data.steps=9")
    assert found[0] == "lif/ann@lif:data.test_speaker=ann:data.steps=9"
    contenders = [Contender.parse(text) for text in found]
    assert [c.label for c in contenders] == ["lif/ann", "lif/bob", "soft/ann", "soft/bob"]
    assert len({c.folder for c in contenders}) == 4
    assert contenders[3].options == ("reset=soft", "data.test_speaker=bob", "data.steps=9")


@pytest.mark.parametrize("name", ["speakers", "speaker-options"])
def test_options_are_chosen_without_the_speaker_who_is_tested_last(name):
    rows = {}
    for text in find(name).contenders_from():
        contender = Contender.parse(text)
        row, _, speaker = contender.label.rpartition("/")
        rows.setdefault(row, []).append(speaker)
        assert f"data.test_speaker={speaker}" in contender.options
        alone = "data.speakers=[jackson,nicolas,yweweler]" in contender.options
        assert alone == (name == "speaker-options")
    three = ["jackson", "nicolas", "yweweler"]
    tested = three if name == "speaker-options" else [*three, "theo"]
    assert all(speakers == tested for speakers in rows.values())
