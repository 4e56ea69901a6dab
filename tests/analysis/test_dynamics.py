import numpy as np
import pytest
import torch

from neurodyn.analysis import families, family, fixed_points, membrane_map
from neurodyn.analysis.pictures import layer_names, plot_curves, plot_dynamics, styles
from neurodyn.models import ConvNet
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


def test_the_axis_begins_where_curves_end():
    climb = [[10.0] * 5 + [90.0, 91.0, 92.0]]
    low, high = (
        plot_curves({"lif": climb, "lnm": [[20.0] * 5 + [91.0, 94.0, 95.0]]}).axes[0].get_ylim()
    )
    assert 80 < low < 91
    assert 95 < high < 100


def test_a_neuron_has_its_colour_in_every_picture():
    lif, lnm = styles(["lif", "lnm:per=neuron"])
    first, second, again = styles(["lnm", "mine", "lnm:degree=5"])
    assert first[0] == lnm[0] != lif[0]
    assert len({first[0], second[0], again[0]}) == 3
    assert len({first[1], second[1], again[1]}) == 3


def test_a_legend_fits_its_figure():
    name = "delayed:order={}:model.network.widths=[8,8]"
    figure = plot_curves({name.format(i): [[1.0, 2.0, 3.0]] for i in (0, 20)})
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()][1] == "delayed:order=20:widths=[8,8]"
    figure.canvas.draw()
    assert figure.bbox.contains(*legend.get_window_extent().min)
    assert figure.bbox.contains(*legend.get_window_extent().max)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["body.1.neuron", "body.4.neuron"], ["layer 1", "layer 2"]),
        (
            ["body.1.neuron", "body.2.branch.1.neuron", "body.2.neuron", "body.12"],
            ["layer 1", "block 1, conv 1", "block 1, conv 2", "layer 2"],
        ),
        (
            ["body.6.shortcut.1.neuron", "body.6.branch.0.1.neuron", "body.6.branch.1.1.neuron"],
            ["block 1, shortcut", "block 1, conv 1", "block 1, conv 2"],
        ),
        (
            ["body.1.0.layer.query.1.neuron", "body.1.0.layer.neuron", "body.1.1.layer.0.1.neuron"],
            ["block 1, query", "block 1, layer 1", "block 1, layer 2"],
        ),
    ],
)
def test_layers_are_named_as_a_reader_would(paths, names):
    assert layer_names(paths) == names
