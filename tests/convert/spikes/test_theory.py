import math

import pytest

from neurodyn.convert.spikes.theory import (
    moebius,
    multi_spike_neurons,
    share,
    share_bound,
    square_free,
)


def test_square_free_numbers():
    assert moebius(12).tolist() == [1, -1, -1, 0, -1, 1, -1, 0, 0, 1, -1, 0]
    assert square_free(11).tolist() == [1, 2, 3, 5, 6, 7, 10, 11]
    assert [multi_spike_neurons(n) for n in (10, 100, 1000)] == [7, 61, 608]
    assert len(moebius(0)) == 0


def test_moebius_sums_over_divisors_are_zero_but_for_one():
    mu = moebius(200)
    for n in range(1, 201):
        assert sum(mu[d - 1] for d in range(1, n + 1) if n % d == 0) == (n == 1)


def test_the_share_keeps_to_its_bound_for_every_number_of_spikes():
    for n in range(1, 1001):
        assert share(n) <= min(1, 6 / math.pi**2 + 1 / math.sqrt(n)) + 1e-15
        assert share(n) <= share_bound(n)
        if n >= 8:
            assert share(n) < 6 / math.pi**2 + 1 / (2 * math.sqrt(n))
    assert share(100_000) == pytest.approx(6 / math.pi**2, abs=1e-4)


def test_a_negative_bound():
    with pytest.raises(ValueError, match="bound: expected 0 or more, got -1"):
        moebius(-1)
