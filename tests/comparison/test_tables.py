from matplotlib.figure import Figure

from neurodyn.comparison.folder import finished_runs
from neurodyn.comparison.tables import markdown_table, write_report, write_study
from tests.comparison.runs import finished, start

NAMED = {"metric": "accuracy", "beside": {}}


def test_table_by_hand():
    base = dict.fromkeys(
        ("val_score", "firing_rate", "spikes", "sops", "energy_nJ", "parameters", "seconds"), 1.0
    )
    runs = [{"neuron": "lif", "seed": a, "score": a, **base, **NAMED} for a in (90.0, 92.0, 94.0)]
    assert "| 92.00 ± 2.00 " in markdown_table(runs)


def test_a_table_has_the_time_to_the_target():
    keys = ("score", "val_score", "firing_rate", "spikes", "sops", "energy_nJ")
    base = dict.fromkeys((*keys, "parameters", "seconds"), 1.0)
    runs = [
        {
            **base,
            **NAMED,
            "neuron": "lif",
            "seed": seed,
            "target": 80.0,
            "curve": [50.0, best],
            "epoch_seconds": [[9.0, 1.0], [seconds, 1.0]],
        }
        for seed, (best, seconds) in enumerate([(80.0, 9.0), (85.0, 11.0), (79.0, 9.0)])
    ]
    old = {**base, **NAMED, "neuron": "if", "seed": 0}
    heading, _, *rows = markdown_table([*runs, old]).splitlines()
    assert heading.endswith("| time to 80 % [s]       |")
    assert rows[0].endswith("| 21.0 ± 1.4, 1 of 3 not |")
    assert rows[1].endswith("|                        |")
    assert "time to" not in markdown_table([old])
    assert "| 1 of 1 not " in markdown_table(runs[2:])


def test_a_table_is_of_everything_in_the_folder_in_the_order_it_was_begun(folder):
    rows = markdown_table(finished_runs(folder)).splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["plif", "alif"]
    assert "| plif   | 2     | 92.00 ± 2.83 " in rows[2]
    assert "| alif   | 1     | 91.00 " in rows[3]


def test_under_a_table_stands_who_is_ahead(folder):
    finished(folder, "lif", 0, 60.0, [start("2026-05-04", "neurodyn compare")])
    finished(folder, "lif", 1, 61.0, [start("2026-05-04", "neurodyn compare")])
    sentence = "\n\nplif is ahead of lif by 31.5 points (by seed 30.0 to 33.0)."
    table = write_report(folder)
    assert table.endswith(sentence)
    assert f"{sentence}\n\n```\nneurodyn compare" in (folder / "table.md").read_text()


def test_a_study_leaves_a_table_and_a_picture(folder):
    assert write_study(folder, "| a |", Figure()) == "| a |"
    assert (folder / "study.md").read_text() == "| a |\n"
    assert (folder / "study.png").read_bytes().startswith(b"\x89PNG")
