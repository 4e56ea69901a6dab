import numpy as np
import pytest
import torch

from neurodyn.analysis import family, fixed_points, membrane_map
from neurodyn.analysis.pictures import plot_curves, plot_dynamics
from neurodyn.models import ConvNet
from neurodyn.neurons import IF, LIF, LNM, PLIF, QIF


def test_map_of_lif_is_a_line():
    u = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(membrane_map(LIF(tau=4.0), u, x=0.3), 0.75 * u + 0.3)


def test_map_has_a_curve_a_channel():
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
    ],
)
def test_families(neuron, name):
    assert family(neuron) == name


@pytest.mark.parametrize("look", [fixed_points, family])
def test_one_set_of_parameters_is_needed(look):
    with pytest.raises(ValueError, match="expected per='layer'"):
        look(LIF(3, per="neuron"))


def test_a_line_of_fixed_points_is_not_a_list_of_points():
    assert fixed_points(IF()) == []
    assert fixed_points(LNM(start=(0.0, 0.0, 0.0, 0.0))) == []
    assert len(fixed_points(QIF().bfloat16())) == 2


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_picture_of_dynamics_has_a_panel_a_layer(per):
    def neuron(features):
        return LNM(features, per=per, start="qif")

    figure = plot_dynamics(ConvNet(neuron, widths=(3, 4)))
    panels = [axis for axis in figure.axes if axis.get_visible()]
    assert len(panels) == 2
    points = [line for line in panels[0].lines if line.get_marker() == "o"]
    assert len(points) == (2 if per == "layer" else 0)


def test_picture_needs_a_neuron():
    with pytest.raises(ValueError, match="expected at least one neuron"):
        plot_dynamics(torch.nn.Linear(2, 2))


def test_learning_curves():
    figure = plot_curves({"lif": [[50, 60], [52, 66, 70]], "lnm": [[55, 65]]})
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["lif", "lnm"]
    assert lines[0].get_ydata().tolist() == [51, 63], "runs of unequal length end with the shortest"
