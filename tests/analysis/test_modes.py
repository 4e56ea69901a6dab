import math

import pytest
import torch

from neurodyn.analysis import eigenvalues, families, impulse_response, period, time_constant
from neurodyn.analysis.modes import jacobian, oscillates, rest_state
from neurodyn.learned import Learned
from neurodyn.neurons import (
    ALIF,
    BRF,
    IF,
    KLIF,
    LIF,
    LNM,
    QIF,
    AdLIF,
    Izhikevich,
    Modal,
    Neuron,
    Planar,
    Spline,
)


def test_modes_of_planar_are_its_parameters():
    neuron = Planar((5,), horizon=50.0).double()
    found = eigenvalues(neuron)
    assert found.shape == (5, 2)
    torch.testing.assert_close(found[:, 1], found[:, 0].conj())
    assert (found[:, 0].imag > 0).all()
    torch.testing.assert_close(
        time_constant(found[:, 0]), neuron.tau[0].detach(), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(period(found[:, 0]), neuron.period[0].detach(), rtol=1e-6, atol=0)


def test_modes_of_modal_come_slowest_first():
    neuron = Modal((4,), modes=3, horizon=50.0).double()
    expected = torch.stack(neuron.tau, -1).sort(-1, descending=True).values.detach()
    found = eigenvalues(neuron)
    torch.testing.assert_close(time_constant(found[:, ::2]), expected, rtol=1e-6, atol=0)


def test_modes_of_adlif_are_those_of_its_two_equations():
    neuron = AdLIF(alpha=0.9, beta=0.96, a=0.5, b=1.0).double()
    matrix = torch.tensor([[0.9 - 0.1 * 0.5, -0.1 * 0.96], [0.5, 0.96]], dtype=torch.float64)
    found = eigenvalues(neuron)[0]
    expected = torch.linalg.eigvals(matrix)
    torch.testing.assert_close(found[0].abs(), expected[0].abs(), rtol=1e-6, atol=0)
    torch.testing.assert_close(found[0].real, expected[0].real, rtol=1e-6, atol=0)
    assert found[2] == 0, "the last spike is no memory without spikes"


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (LIF(tau=4.0), [0.75]),
        (IF(), [1.0]),
        (ALIF(tau=2.0, rho=0.9), [0.9, 0.5]),
        (QIF(a=0.25, u1=0.0, u2=0.5), [0.875]),
        (QIF(a=0.25, u1=0.2, u2=0.7), [0.875]),  # Its rest is not where it starts.
        (LNM(start=(0.0, -3.0, 0.0, 0.0), clip="none"), [-0.5]),
        # They have a kink at rest: the slope above it counts.
        (KLIF(), [0.5]),
        (Spline(), [0.5]),
    ],
)
def test_modes_at_rest(neuron, expected):
    torch.testing.assert_close(
        eigenvalues(neuron), torch.tensor([expected], dtype=torch.complex128), rtol=1e-6, atol=1e-6
    )


def test_rest_with_input():
    (u,) = rest_state(LIF(tau=4.0), x=0.1)
    assert u.item() == pytest.approx(0.4)
    (u,) = rest_state(IF(), x=0.1)
    assert u.item() == 0, "where nothing comes to rest, the initial state"


def test_the_matrix_has_a_row_per_new_state():
    neuron = Izhikevich(a=0.02, b=0.2)
    found = jacobian(neuron, torch.zeros(1), torch.zeros(1))
    expected = torch.tensor([[[0.875, -1.0], [0.004, 0.98]]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_looking_leaves_a_neuron_as_it_was():
    neuron = Planar((3,))
    eigenvalues(neuron)
    impulse_response(neuron)
    assert all(p.grad is None and p.dtype == torch.float32 for p in neuron.parameters())
    with torch.inference_mode():
        assert eigenvalues(LIF()).shape == (1, 1)


def test_times_of_eigenvalues():
    given = torch.tensor([0.5, -0.5, 1.0, 2.0, 0.0, 0.5j], dtype=torch.complex128)
    half = 1 / math.log(2)
    expected = torch.tensor([half, half, -math.inf, -half, 0.0, half], dtype=torch.float64)
    torch.testing.assert_close(time_constant(given).abs(), expected.abs())
    assert time_constant(given)[3] < 0
    assert period(given).tolist()[:2] == [math.inf, 2.0]
    assert period(given)[5].item() == pytest.approx(4.0)


def test_a_pair_oscillates_if_it_turns_before_it_decays():
    tau = torch.tensor([10.0, 10.0, 1000.0], dtype=torch.float64)
    turn = 2 * math.pi * tau * torch.tensor([0.99, 1.01, 0.5])
    pairs = torch.polar(torch.exp(-1 / tau), 2 * math.pi / turn)
    assert oscillates(pairs).tolist() == [True, False, True]
    assert oscillates(pairs.conj()).tolist() == [True, False, True]
    # Rounding makes a pair of two equal eigenvalues; a change of sign is no turn.
    assert oscillates(torch.tensor([1 + 1e-9j, -0.9 + 0j])).tolist() == [False, False]


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (Planar((2,), tau=[20.0], period=[20.0]), ["oscillating"] * 2),
        (Planar((1,), tau=[5.0], period=[100.0]), ["LIF-like"]),
        (Planar((1,), oscillate=False), ["LIF-like"]),
        (Modal((1,), tau=[5.0, 20.0], period=[100.0, 20.0]), ["oscillating"]),
        (AdLIF(alpha=0.9, beta=0.96, a=0.5, b=1.0), ["oscillating"]),
        (AdLIF(alpha=0.9, beta=0.96, a=0.0, b=1.0), ["LIF-like"]),
        (BRF(), ["oscillating"]),
        (Izhikevich(), ["QIF-like"]),
        (Izhikevich(a=0.2, b=0.5), ["oscillating"]),
        (LNM(start=(0.0, -3.0, 0.0, 0.0), clip="none"), ["LIF-like"]),  # It rings; it is one state.
    ],
)
def test_families_look_at_all_states(neuron, expected):
    assert families(neuron) == expected


def test_impulse_response_of_planar():
    neuron = Planar((2,), tau=[10.0], period=[8.0]).double()
    h = impulse_response(neuron, 20, size=1.0)
    t = torch.arange(20, dtype=torch.float64)[:, None]
    expected = neuron.gain[0] * torch.exp(-t / 10) * torch.cos(2 * math.pi * t / 8)
    torch.testing.assert_close(h, expected, rtol=1e-5, atol=1e-6)


def test_impulse_response_has_no_spikes():
    assert impulse_response(LIF(tau=2.0), 3, size=8.0).flatten().tolist() == [8.0, 4.0, 2.0]


class Silent(Neuron):
    """A step that does not fire."""

    keep = Learned(0.5)

    def step(self, x, u):
        u = self.keep * u + x
        return torch.zeros_like(u), u


def test_the_first_state_stands_for_the_membrane():
    assert impulse_response(Silent(), 3, size=1.0).flatten().tolist() == [1.0, 0.5, 0.25]
