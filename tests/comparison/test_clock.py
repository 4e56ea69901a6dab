import pytest

from neurodyn.comparison.clock import epochs_to, seconds_to


def test_time_to_an_accuracy():
    curve = [50.0, 80.0, 75.0, 90.0]
    run = {"curve": curve, "epoch_seconds": [[9.0, 1.0], [5.0, 1.0], [5.0, 1.0], [5.0, 1.0]]}
    assert [epochs_to(curve, a) for a in (10, 80, 81, 91)] == [1, 2, 4, None]
    assert [seconds_to(run, a) for a in (10, 80, 81, 91)] == [10, 16, 28, None]
    with pytest.raises(ValueError, match="run: expected epoch_seconds"):
        seconds_to({"curve": curve}, 80)
