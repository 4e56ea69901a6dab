import numpy as np
import pytest

from neurodyn.biophysics import Recording

TIME = np.arange(0, 100, 0.1)


def spiking(at=(20.0, 60.0), rest=-65.0):
    """A potential that rises to 30 mV within half a millisecond at these times."""
    rise = sum(np.interp(TIME - t, [-0.25, 0.25, 1.0], [0, 95, 0]) for t in at)
    return rest + rise


def test_spikes_lie_between_the_samples():
    recording = Recording(0 * TIME, spiking((20.03,)), 0.1)
    (times,) = recording.spikes
    np.testing.assert_allclose(times, 20.03 - 0.25 + 0.5 * 65 / 95, atol=0.02)


def test_split_keeps_what_still_acts():
    recording = Recording(0 * TIME, spiking(), 0.1)
    first, second = recording.split(40.0)
    assert (len(first.spikes[0]), len(second.spikes[0])) == (1, 1)
    np.testing.assert_allclose(second.spikes[0], recording.spikes[0][1:] - 40, atol=1e-9)
    np.testing.assert_allclose(second.before[0], recording.spikes[0][:1] - 40)
    assert first.duration == 40
    assert second.duration == 60
    later = Recording(np.sin(TIME), spiking(), 0.1).split(40.0)[1].split(20.0)[1]
    np.testing.assert_array_equal(later.lead[:, 0], np.sin(TIME[:600]))
    np.testing.assert_array_equal(later[[0, 0]].lead[:, 1], np.sin(TIME[:600]))
    coarse = later.coarser(0.7).lead[:, 0]  # 85 times 7 samples, the last ones.
    np.testing.assert_allclose(coarse, np.sin(TIME[5:600]).reshape(85, 7).mean(1))


def test_spikes_of_earlier_sweeps_act_on():
    two = np.stack([spiking((20.0,)), spiking((60.0,)), spiking((150.0,))], 1)
    kwargs = {"current": 0 * two, "voltage": two, "dt": 0.1}
    recording = Recording(**kwargs, starts=[0.0, 100.0, 300.0])
    first, second = (float(times[0]) for times in recording.spikes[:2])
    assert recording.before[0].size == 0
    np.testing.assert_allclose(recording.before[1], [first - 100])
    np.testing.assert_allclose(recording.before[2], [first - 300, second - 200])
    np.testing.assert_allclose(recording[::2].before[1], [first - 300, second - 200])
    assert all(times.size == 0 for times in Recording(**kwargs).before)
    for starts in ([0.0, 50.0, 200.0], [0.0, 100.0]):
        with pytest.raises(ValueError, match="starts: expected 3 times, each at least 100 ms"):
            Recording(**kwargs, starts=starts)


def test_repeats_are_sweeps_of_one_current():
    a, b = np.sin(TIME), np.cos(TIME)
    current = np.stack([a, b, a + 1e-4, b], 1)
    recording = Recording(current, np.stack([spiking()] * 4, 1), 0.1)
    assert recording.repeats == [[0, 2], [1, 3]]
    assert recording[1::2].repeats == [[0, 1]]
    assert "4 sweeps" in repr(recording)
    assert "spikes  8" in repr(recording)


def test_coarser_samples_keep_the_spikes():
    recording = Recording(TIME * 0 + 0.2, spiking(), 0.1)
    coarse = recording.coarser(0.2)
    assert coarse.dt == pytest.approx(0.2)
    assert len(coarse.voltage) == 500
    np.testing.assert_array_equal(coarse.spikes[0], recording.spikes[0])
    np.testing.assert_allclose(coarse.voltage[0, 0], recording.voltage[:2, 0].mean())


@pytest.mark.parametrize(
    ("current", "voltage", "dt", "message"),
    [
        (0 * TIME, spiking() / 1000, 0.1, "voltage: expected millivolts, .* looks like volts"),
        (0 * TIME + 3e-10, spiking(), 0.1, "current: expected nanoamperes, .* amperes"),
        (0 * TIME + 200.0, spiking(), 0.1, "current: expected nanoamperes, .* picoamperes"),
        (0 * TIME, spiking(), None, "dt: expected the time between samples"),
        (0 * TIME, spiking(), 0.0, "dt: expected at least"),
        (TIME[1:], spiking(), 0.1, "current, voltage: expected the same shape"),
    ],
)
def test_what_does_not_fit(current, voltage, dt, message):
    with pytest.raises(ValueError, match=message):
        Recording(current, voltage, dt)


def test_a_lead_that_does_not_fit():
    with pytest.raises(ValueError, match=r"lead: expected \(T, 1\), as current, got \(5, 2\)"):
        Recording(0 * TIME, spiking(), 0.1, lead=np.zeros((5, 2)))
    with pytest.raises(ValueError, match="lead: expected numbers without gaps"):
        Recording(0 * TIME, spiking(), 0.1, lead=np.full(5, np.nan))


def test_gaps_are_named():
    voltage = spiking()
    voltage[300:310] = np.nan
    with pytest.raises(ValueError, match=r"voltage: .* 10 NaN .* sweep 0, the first at 30 ms"):
        Recording(0 * TIME, voltage, 0.1)
