import pytest

pytest.importorskip("efel")
from neurodyn.biophysics.noble.scores import HEADINGS, halved_grid, row, scores
from tests.biophysics.noble.test_surrogate import small


def test_a_perfect_prediction(traces):
    found = scores(traces.V.T, traces)
    assert found.voltage == 0
    assert all(error == 0 for error in found.features.values())
    assert found.firing + found.silent == len(traces)
    assert found.firing > 3
    assert (found.missed, found.false, found.share_missed) == (0, 0, 0)


def test_missed_and_false_firing_are_counted_apart(traces):
    V = traces.V.T.clone()
    fires = (V.amax(0) > -20).nonzero()[:, 0]
    silent = (V.amax(0) < -40).nonzero()[:, 0]
    V[:, fires[0]] = -70.0
    V[:, silent[0]] = V[:, fires[1]]
    found = scores(V, traces)
    assert (found.missed, found.false) == (1, 1)
    assert found.share_missed == 1 / len(fires)
    assert found.features["spike count"] == 0  # of those that fire in both
    assert found.voltage > 0.01


def test_errors_are_relative(traces):
    V = traces.V.T * 1.1
    found = scores(V, traces)
    assert found.voltage == pytest.approx(0.1, rel=1e-4)
    assert found.features["steady-state voltage"] == pytest.approx(0.1, rel=1e-3)
    cells = row("ours", found).split("|")
    assert len(cells) == len(HEADINGS) + 3
    assert cells[2].strip() == "10.00 %"


def test_the_distance_of_a_finer_grid(traces):
    pytest.importorskip("neuralop")
    surrogate = small()
    surrogate.embedding.fit(traces.features)
    assert 0 < halved_grid(surrogate, traces) < 0.2
