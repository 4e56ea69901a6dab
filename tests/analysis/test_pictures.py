from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from neurodyn.analysis.pictures import (
    curve_limits,
    layer_names,
    layers_of,
    plot_curves,
    plot_dynamics,
    save,
    styles,
)
from neurodyn.models import ConvNet
from neurodyn.neurons import LIF, LNM


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "curves.png"
    save(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    def half(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="no space left"):
        save(Figure(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_picture_of_dynamics_has_a_panel_per_layer(per):
    def neuron(features):
        return LNM(features, per=per, start="qif")

    figure = plot_dynamics(ConvNet(neuron, widths=(3, 4)))
    panels = [axis for axis in figure.axes if axis.get_visible()]
    titles = [axis.get_title().partition("\n")[0] for axis in panels]
    assert titles == ["layer 1, 192 neurons", "layer 2, 64 neurons"]
    points = [line for line in panels[0].lines if line.get_marker() == "o"]
    assert len(points) == (2 if per == "layer" else 0)
    (legend,) = figure.legends
    learned = "learned" if per == "layer" else "learned, by channel"
    assert [text.get_text() for text in legend.get_texts()].count(learned) == 1


def test_layers_have_titles_with_their_size():
    layers = torch.nn.Sequential(LIF(), LNM((3, -1, -1), per="channel"), LNM(5), LIF((64, 32, 32)))
    assert list(layers_of(layers)) == [
        "layer 1",
        "layer 2, 3 channels",
        "layer 3, 5 neurons",
        "layer 4, 65,536 neurons",
    ]


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


def test_the_axis_does_not_magnify_noise():
    low, high = curve_limits({"lif": [[98.0] * 9], "lnm": [[98.2] * 9]})
    assert high - low == pytest.approx(10.0)
    low, high = curve_limits({"lif": [[60.0] * 9, [68.0] * 9], "lnm": [[64.0] * 9]})
    assert high - low >= 4 * 8.0
    assert curve_limits({"lif": [[0.5, 1.0]]}) == (0.0, 10.0)
    assert curve_limits({"lif": [[99.0, 100.0]]})[1] < 101


def test_chance_is_a_line_if_it_is_near():
    far = plot_curves({"lif": [[90.0] * 9], "lnm": [[92.0] * 9]}, chance=10.0).axes[0]
    assert not far.texts
    near = plot_curves({"lif": [[12.0] * 9], "lnm": [[50.0] * 9]}, chance=10.0).axes[0]
    assert [text.get_text() for text in near.texts] == ["chance 10 %"]
    assert near.get_ylim()[0] < 10.0


@pytest.mark.parametrize("epochs", [1, 5])
def test_a_short_training_is_shown_whole(epochs):
    climb = [20.0, 35.0, 40.0, 55.0, 56.0][:epochs]
    axis = plot_curves({"lif": [climb]}).axes[0]
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    assert 0.5 < left <= 1
    assert right > epochs - 1
    assert low <= 20
    assert high > climb[-1]
    assert axis.lines[0].get_marker() == "o", "a single epoch has no line"


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
