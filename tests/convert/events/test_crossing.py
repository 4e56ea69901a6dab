import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodyn.convert.events.crossing import crossing, kappa, kappa_by_rates, peak, phi, phi_slope

RATES = {"LIF": (0.1, 0.25), "slow synapse": (0.3, 0.1), "equal": (0.2, 0.2), "nLIF": (0.0, 0.3)}
rates = st.sampled_from([*RATES.values(), (0.2, 0.2 + 1e-9), (0.0, 0.0), (1.0, 1e-3)])


def membrane(s, u, current, alpha, beta, gain):
    """By the two exponentials, or their limits, in extended precision."""
    s = np.asarray(s, np.longdouble)
    a, b = np.longdouble(alpha), np.longdouble(beta)
    if abs(alpha - beta) < 1e-6:
        kernel = gain * s * np.exp(-(a + b) / 2 * s)
    else:
        kernel = gain * (np.exp(-a * s) - np.exp(-b * s)) / (b - a)
    return u * np.exp(-a * s) + current * kernel


@given(rates, st.floats(-3, 0.999), st.floats(-5, 20), st.floats(1.0, 3.0))
@settings(max_examples=300, deadline=None)
def test_the_first_crossing_is_found_and_none_where_there_is_none(pair, u, current, level):
    alpha, beta = pair
    gain = beta if beta else 1.0
    s = crossing(level, u, current, alpha, beta, gain)
    grid = np.linspace(0, min(s, 60.0), 3000)
    before = membrane(grid[:-1] if s <= 60 else grid, u, current, alpha, beta, gain)
    assert before.max(initial=-math.inf) < level + 1e-12
    if s <= 1e4:
        assert float(membrane(s, u, current, alpha, beta, gain)) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("kind", RATES)
def test_the_last_bits_are_right(kind):
    alpha, beta = RATES[kind]
    for k in range(20):
        s = crossing(1.0, -0.1 * k, 6.0 + k, alpha, beta, beta)
        rise = np.diff(membrane([s, s * (1 + 1e-6)], -0.1 * k, 6.0 + k, alpha, beta, beta))[0] / (
            s * 1e-6
        )
        error = float(membrane(s, -0.1 * k, 6.0 + k, alpha, beta, beta) - 1) / float(rise)
        assert abs(error) < 1e-14 * max(s, 1.0)


def test_a_touch_of_the_maximum_is_a_crossing_and_less_is_not():
    s, top = peak(0.2, 3.0, 0.1, 0.25, 0.25)
    assert crossing(top, 0.2, 3.0, 0.1, 0.25, 0.25) == pytest.approx(s, abs=1e-6)
    assert crossing(np.nextafter(top, 2), 0.2, 3.0, 0.1, 0.25, 0.25) == math.inf


def test_a_limit_is_not_reached():
    # nLIF: 0.5 + 0.5 (1 - exp(-t / tau)) tends to 1.
    assert peak(0.5, 0.5, 0.0, 0.25, 0.25) == (math.inf, 1.0)
    assert crossing(1.0, 0.5, 0.5, 0.0, 0.25, 0.25) == math.inf


def test_a_membrane_at_its_level_crosses_at_once():
    assert crossing(1.0, 1.0, -3.0, 0.1, 0.2, 0.2) == 0.0


@pytest.mark.parametrize("x", [0.0, 1e-12, -1e-12, 0.019, 0.021, -0.019, 3.0, -3.0, 40.0])
def test_phi_and_its_slope(x):
    wide = np.longdouble(x)
    exact = 1.0 if x == 0 else float(-np.expm1(-wide) / wide)
    assert phi(x) == pytest.approx(exact, rel=1e-15)
    step = 1e-4
    slope = (phi(x + step) - phi(x - step)) / (2 * step)
    assert phi_slope(x) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("pair", [*RATES.values(), (0.2, 0.2001), (0.0, 0.0)])
def test_derivatives_of_the_kernel(pair):
    alpha, beta = pair
    for s in (0.1, 1.0, 20.0):
        found = kappa_by_rates(s, alpha, beta, 0.7)
        step = 1e-6
        by_alpha = kappa(s, alpha + step, beta, 0.7) - kappa(s, alpha - step, beta, 0.7)
        by_beta = kappa(s, alpha, beta + step, 0.7) - kappa(s, alpha, beta - step, 0.7)
        expected = (by_alpha / (2 * step), by_beta / (2 * step))
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_large_times_do_not_overflow():
    for pair in ((1e-3, 50.0), (50.0, 1e-3)):
        assert 0 <= kappa(1e4, *pair, 1.0) < 1e-3
        assert all(math.isfinite(each) for each in kappa_by_rates(1e4, *pair, 1.0))
