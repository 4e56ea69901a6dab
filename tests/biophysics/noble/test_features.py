import numpy as np
import pytest
import torch

from neurodyn.biophysics.noble.features import TABLE, efel_features

efel = pytest.importorskip("efel")
SPIKE = [-50.0, -30.0, 0.0, 20.0, 0.0, -30.0, -60.0, -75.0]


def trace(*peaks, dt=0.1, window=120.0, rest=-70.0):
    """Rest with spikes whose peaks are at these times, and the times of the samples."""
    n = round(window / dt)
    V = torch.full((n,), rest, dtype=torch.float64)
    for peak in peaks:
        i = round(peak / dt) - 1
        V[i - 3 : i + 5] = torch.tensor(SPIKE, dtype=torch.float64)
    return V, dt * torch.arange(1, n + 1, dtype=torch.float64)


def features(V, times, *names, start=10.0, stop=90.0, **options):
    names = names or tuple(TABLE.values())
    return efel_features(V[:, None], times, start, stop, names, **options)


def test_the_table():
    V, times = trace(30.0, 50.0)
    found = features(V, times)
    assert found["spike_count"].item() == 2
    assert found["mean_AP_amplitude"].item() == pytest.approx(90)
    assert 0.3 < found["AP1_width"].item() < 0.5
    assert found["steady_state_voltage"].item() == pytest.approx(-70)


def test_a_silent_trace_has_no_width_and_no_infinity():
    found = features(*trace())
    assert found["spike_count"].item() == 0
    assert found["AP1_width"].isnan().item()
    assert found["mean_AP_amplitude"].isnan().item()


def test_samples_at_the_threshold():
    V, times = trace(30.0)
    # eFEL alone misses this spike, whose rise rests on the threshold for two samples.
    V[297:299] = -20.0
    raw = [{"T": times.numpy(), "V": V.numpy(), "stim_start": [10.0], "stim_end": [90.0]}]
    assert efel.get_feature_values(raw, ["spike_count"])[0]["spike_count"][0] == 0
    assert features(V, times)["spike_count"].item() == 1
    V, times = trace(30.0)
    V[297] = -20.0
    assert features(V, times)["spike_count"].item() == 1


@pytest.mark.parametrize("samples", [1, 2, 300])
def test_a_trace_that_begins_depolarised(samples):
    V, times = trace(50.0)
    V[:samples] = 0.0
    found = features(V, times)
    assert found["spike_count"].item() == 1
    assert found["mean_AP_amplitude"].item() == pytest.approx(90)
    # eFEL gives an infinite width for a trace that falls below threshold late.
    assert not found["AP1_width"].isinf().item()


@pytest.mark.parametrize("dt", [0.0625, 0.1, 0.07, 0.025, 1 / 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_step_of_interpolation_is_that_of_the_trace(dt, dtype):
    n = round(120 / dt)
    V = -70 + torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    i = n // 2
    V[i - 1 : i + 2] = torch.tensor([-40.0, 31.4159, -40.0], dtype=torch.float64)
    times = (dt * torch.arange(1, n + 1, dtype=torch.float64)).to(dtype)
    seen = {}
    real = efel.get_feature_values

    def spy(traces, names, *rest):
        seen.update(real(traces, ["voltage"])[0])
        return real(traces, names, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efel, "get_feature_values", spy)
        found = features(V, times, "spike_count", "peak_voltage")
    np.testing.assert_allclose(seen["voltage"][:n], V.numpy(), atol=1e-6)
    assert found["peak_voltage"].item() == pytest.approx(31.4159)
    assert found["spike_count"].item() == 1


def test_spikes_outside_the_step_do_not_count():
    found = features(*trace(5.0, 30.0, 95.0))
    assert found["spike_count"].item() == 1
    assert features(*trace(5.0, 95.0))["spike_count"].item() == 0


def test_each_trace_has_its_own_step():
    V, times = trace(30.0, 50.0)
    start, stop = torch.tensor([10.0, 40.0]), torch.tensor([90.0, 100.0])
    found = efel_features(torch.stack([V, V], 1), times, start, stop)
    assert found["spike_count"].tolist() == [2, 1]


def test_other_units_are_found_out():
    V, times = trace(30.0)
    with pytest.raises(ValueError, match=r"V: expected millivolts.*look like volts"):
        features(V / 1000, times)
    with pytest.raises(ValueError, match=r"times: expected milliseconds.*look like seconds"):
        features(V, times / 1000, start=0.01, stop=0.09)
    with pytest.raises(ValueError, match=r"start, stop: .* looks like seconds"):
        features(V, times, start=0.01, stop=0.09)
    with pytest.raises(ValueError, match=r"start, stop: expected a step within the trace.*120 ms"):
        features(V, times, stop=130.0)


def test_what_means_nothing_is_left_out():
    V, times = trace(30.0)
    with pytest.raises(ValueError, match="depol_block is left out"):
        features(V, times, "depol_block")
    with pytest.raises(ValueError, match="names: expected features of eFEL, got 'width'"):
        features(V, times, "width")
    name = "decay_time_constant_after_stim"
    V[900:] += 10 * torch.exp(-(times[900:] - 90) / 8)
    V[100:900] += 10
    current = torch.tensor([0.0, 0.1])
    found = efel_features(torch.stack([V, V], 1), times, 10.0, 90.0, [name], current=current)[name]
    assert found[0].isnan()
    assert 5 < found[1].item() < 9


def test_shapes_and_grids_that_do_not_fit():
    V, times = trace()
    with pytest.raises(ValueError, match=r"V, times: expected \(T, traces\) and \(T,\)"):
        efel_features(V, times, 10.0, 90.0)
    uneven = times.clone()
    uneven[5:] += 1
    with pytest.raises(ValueError, match="times: expected them evenly spaced"):
        features(V, uneven)


def test_the_settings_of_the_process_stay_as_they_were():
    efel.set_setting("Threshold", -11.0)
    try:
        features(*trace(30.0))
        assert efel.get_settings().Threshold == -11.0
        assert efel.get_settings().interp_step == 0.1
        assert not efel.get_settings().strict_stiminterval
    finally:
        efel.reset()
