import pytest
import torch

from neurodyn.biophysics.noble import Steps


def drawn(steps, n=20_000):
    return steps.draw(n, 0.1, torch.Generator().manual_seed(0))


def test_amplitudes_are_skewed_and_have_their_mode_where_asked():
    amplitude, onset = drawn(Steps((-0.5, 0.8), mode=0.05))
    assert -0.5 <= amplitude.min() < amplitude.max() <= 0.8
    counts = torch.histc(amplitude, 65, -0.5, 0.8)
    assert -0.5 + 0.02 * (counts.argmax() + 0.5) == pytest.approx(0.05, abs=0.04)
    centred = (amplitude - amplitude.mean()) / amplitude.std()
    assert centred.pow(3).mean() == pytest.approx(0.45, abs=0.06)  # of a skew-normal with skew 2
    assert 15 <= onset.min() < onset.max() <= 45
    torch.testing.assert_close(onset / 0.1, (onset / 0.1).round(), rtol=0, atol=1e-3)


def test_no_skew_is_a_normal_distribution():
    amplitude, _ = drawn(Steps((-1.0, 1.0), mode=0.1, skew=0.0))
    assert amplitude.mean() == pytest.approx(0.1, abs=0.003)
    assert amplitude.std() == pytest.approx(0.12, abs=0.003)


def test_the_range_cuts():
    low, high = drawn(Steps((-0.11, 0.28)))[0].aminmax()
    assert (low, high) == (pytest.approx(-0.11, abs=2e-3), pytest.approx(0.28, abs=2e-3))


def test_the_current_flows_for_the_duration_on_every_grid():
    steps = Steps(start=10.0, duration=80.0, window=120.0, jitter=10.0)
    amplitude, onset = torch.tensor([0.1, -0.05]), torch.tensor([10.0, 16.3])
    for dt in (0.1, 0.05, 0.0125):
        current = steps.current(amplitude, onset, dt)
        assert len(current) == len(steps.times(dt)) == round(120 / dt)
        assert (current != 0).sum(0).tolist() == [round(80 / dt)] * 2
        first = (current[:, 1] != 0).nonzero()[0].item()
        assert first * dt == pytest.approx(16.3)
    assert current.amin() == pytest.approx(-0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amplitudes": (0.3, -0.1)}, "amplitudes: expected the lower one first"),
        ({"mode": 1.0}, "mode: expected a number from -0.11 to 0.28"),
        ({"duration": 500.0}, "window: expected at least 545 ms"),
        ({"jitter": -1.0}, "jitter: expected at least 0"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Steps(**options)
