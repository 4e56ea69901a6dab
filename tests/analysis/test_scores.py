import pytest

from neurodyn.analysis.pictures import COLOURS
from neurodyn.analysis.scores import limits, plot_scores


def test_a_row_per_contender_and_a_dot_per_seed():
    scores = {"planar:horizon=64": [94.0, 93.0], "lif": [55.0], "modal:model.a.b=3": [95.0, 94.0]}
    axis = plot_scores(scores | {"diverged": []}).axes[0]
    labels = [tick.get_text() for tick in axis.get_yticklabels()]
    assert labels == ["planar:horizon=64", "lif", "modal:b=3"]
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[94.0, 93.0], [55.0], [95.0, 94.0]]
    assert [line.get_color() for line in dots] == [COLOURS[n] for n in ("planar", "lif", "modal")]
    means = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"]
    assert means == [93.5, 55.0, 94.5]
    bottom, top = axis.get_ylim()
    assert bottom > top, "the first contender is at the top"


def test_the_axis_does_not_magnify_noise():
    left, right = limits([[96.1, 96.8], [96.4, 97.5]], percent=True)
    assert right - left == pytest.approx(11.0), "ten times the 1.1 points between two seeds"
    assert left <= 96.1
    assert right == 100.0
    left, right = limits([[96.4], [96.6]], percent=True)
    assert right - left == pytest.approx(9.66), "a tenth of the largest result"
    assert limits([[10.0, 90.0]], percent=True) == (0.0, 100.0)


def test_results_that_differ_fill_the_axis():
    left, right = limits([[54.0, 55.0], [93.0, 94.0]], percent=True)
    assert 50 < left < 54
    assert 94 < right < 97


def test_results_that_are_no_percentages():
    left, right = limits([[-2.0, -1.0]], percent=False)
    assert (left, right) == (-6.5, 3.5)
    assert limits([[0.0]], percent=False) == (-0.5, 0.5)


def test_chance_is_a_line_if_the_axis_has_it():
    far = plot_scores({"lif": [60.0], "lnm": [90.0]}, chance=10.0).axes[0]
    assert not far.texts, "the axis begins above it"
    found = plot_scores({"lif": [12.0], "lnm": [9.0]}, chance=10.0).axes[0]
    assert [text.get_text() for text in found.texts] == ["chance 10 %"]


def test_scores_are_needed():
    with pytest.raises(ValueError, match="at least one result"):
        plot_scores({"lif": []})
