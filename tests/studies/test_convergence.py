import pytest

from studies.convergence import convergence_table, plot_convergence

RUNS = [
    {"neuron": "lif", "curve": [50.0, 60.0, 58.0], "seconds": 3.0, "epochs": 3},
    {"neuron": "lif", "curve": [50.0, 70.0, 80.0], "seconds": 9.0, "epochs": 3},
    {"neuron": "lnm", "curve": [70.0, 75.0, 90.0], "seconds": 12.0, "epochs": 3},
]
RUNS = [{"metric": "accuracy", **run} for run in RUNS]


def test_a_row_per_neuron_relative_to_the_first():
    rows = [
        [c.strip() for c in row.split("|")[1:-1]] for row in convergence_table(RUNS).splitlines()
    ]
    assert rows[0][1] == "epochs to 70.0 %, lif's best"
    assert rows[2] == ["lif", "2.0", "1 of 2 seeds", "1.00 ± 0.71"]
    assert rows[3] == ["lnm", "1.0", "1 of 1 seeds", "2.00"]


def test_no_seed_gets_there():
    runs = [
        *RUNS,
        {"neuron": "qif", "curve": [1.0, 2.0], "seconds": 2.0, "epochs": 2},
    ]
    assert convergence_table(runs).splitlines()[-1].split("|")[2:4] == [" " * 30, " 0 of 1 seeds "]


def test_curves_over_epochs_and_over_seconds():
    left, right = plot_convergence(RUNS).axes
    assert left.lines[1].get_xdata().tolist() == [1, 2, 3]
    assert right.lines[1].get_xdata().tolist() == pytest.approx([4, 8, 12])
