import math

import pytest

from neurodyn.report.palette import CONTRAST, DARK, _luminance, _rgb, lightened
from neurodyn.report.svg import Plot, Scale


def test_ticks_are_round_and_within_the_scale():
    assert Scale(0, 100, 0, 1).ticks(5) == [0, 20, 40, 60, 80, 100]
    assert Scale(-2.0, 1.6, 0, 1).ticks(4) == [-2, -1, 0, 1]
    assert Scale(90.1, 97.0, 0, 1).ticks(5) == [92, 94, 96]
    assert Scale(3, 300, 0, 1, log=True).ticks(6) == [5, 10, 20, 50, 100, 200]


def test_values_become_pixels():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert Scale(1, 100, 0, 2, log=True)(10) == pytest.approx(1)


def test_a_line_breaks_where_a_number_is_missing():
    plot = Plot((0, 2), (0, 1), label="")
    path = plot.path([(0, 0), (1, math.nan), (2, 1)])
    assert path.count("M") == 2
    assert "nan" not in path


def test_colours_can_be_read_on_a_dark_page():
    for colour in ("#000000", "#8e0152", "#5a5a5a"):
        ratio = (_luminance(_rgb(lightened(colour))) + 0.05) / (_luminance(_rgb(DARK)) + 0.05)
        assert ratio >= CONTRAST
    assert lightened("#ffffff") == "#ffffff"
