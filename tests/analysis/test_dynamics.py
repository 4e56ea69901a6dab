import numpy as np
import pytest
import torch

from neurodyn.analysis import families, family, fixed_points, membrane_map
from neurodyn.neurons import IF, LIF, LNM, PLIF, QIF


def test_map_of_lif_is_a_line():
    u = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(membrane_map(LIF(tau=4.0), u, x=0.3)[:, 0], 0.75 * u + 0.3)


def test_map_has_a_curve_per_channel():
    neuron = LNM((3, 5, 5), per="channel")
    with torch.no_grad():
        neuron.c[0][1] = 1.0
    curves = membrane_map(neuron, torch.zeros(4))
    assert curves.shape == (4, 3, 1, 1)
    assert curves[0, :, 0, 0].tolist() == [0.0, 0.5, 0.0]


def test_fixed_points_of_qif():
    rest, critical = fixed_points(QIF())
    assert (rest.u, rest.slope) == pytest.approx((0.0, 0.875), abs=1e-4)
    assert (critical.u, critical.slope) == pytest.approx((0.5, 1.125), abs=1e-4)
    assert rest.stable
    assert not critical.stable


def test_fixed_points_vanish_above_the_rheobase():
    rheobase = 0.25 * 0.5**2 / 4
    assert len(fixed_points(QIF(), x=rheobase - 1e-3)) == 2
    assert len(fixed_points(QIF(), x=rheobase + 1e-3)) == 0


@pytest.mark.parametrize("x", [0.0, 0.1, -0.2])
def test_fixed_points_are_the_polynomials_roots(x):
    start = (0.1, -0.8, 0.6, -0.9)
    neuron = LNM(start=start, clip="none").double()
    roots = np.roots([0.5 * c for c in reversed(start)] + np.array([0, 0, 0, x]))
    real = sorted(r.real for r in roots if abs(r.imag) < 1e-9)
    assert [p.u for p in fixed_points(neuron, x=x)] == pytest.approx(real, abs=1e-6)


def test_ringing():
    (point,) = fixed_points(LNM(start=(0, -3.0, 0, 0), clip="none"))
    assert point.stable
    assert point.rings
    (point,) = fixed_points(LNM(start=(0, -4.5, 0, 0), clip="none"))
    assert not point.stable


@pytest.mark.parametrize(
    ("neuron", "name"),
    [
        (LIF(), "LIF-like"),
        (PLIF(tau=5.0), "LIF-like"),
        (QIF(), "QIF-like"),
        (LNM(start=(0.0, 0.8, 0.0, -0.8)), "bistable"),
        (LNM(start=(0.0, -0.2, 0.0, -0.3)), "non-linear leak"),
        (LNM(start=(0.0, 0.5, 0.0, 0.1)), "self-exciting"),
        (LNM(start=(0.0, -0.5, -0.5, 0.0)), "mirrored QIF"),
        (LNM(start=(0.0, -0.5, 0.0, 0.5)), "two critical"),
        (LNM(start=(0.5, 0.0, 0.5, 0.0)), "other"),
    ],
)
def test_families(neuron, name):
    assert family(neuron) == name


def test_a_layer_has_a_family_for_each_channel_or_neuron():
    neuron = LNM((3, 2, 2), per="neuron")
    with torch.no_grad():
        neuron.c[2][1] = 2.0
    expected = ["LIF-like"] * 4 + ["QIF-like"] * 4 + ["LIF-like"] * 4
    assert families(neuron) == expected
    assert families(neuron, most=3) == [expected[0], expected[5], expected[11]]


@pytest.mark.parametrize("look", [fixed_points, family])
def test_one_set_of_parameters_is_needed(look):
    with pytest.raises(ValueError, match="expected per='layer'"):
        look(LIF(3, per="neuron"))


def test_a_line_of_fixed_points_is_not_a_list_of_points():
    assert fixed_points(IF()) == []
    assert fixed_points(LNM(start=(0.0, 0.0, 0.0, 0.0))) == []
    assert len(fixed_points(QIF().bfloat16())) == 2
