"""What a comparison shows while it runs: in a terminal, in a notebook, in a log."""

import sys
import types

from neurodyn.comparison import progress
from neurodyn.comparison.progress import Bars, Cell, Log, make_display

RUNS = [("lif seed 0", 2), ("lif seed 1", 2)]


def told(display):
    """Two runs: one is finished, one waits, is killed and finished later."""
    one, two = display.rows
    one.starts()
    one.epoch(1, 50.0)
    two.waits()
    one.epoch(2, 75.0)
    one.ends()
    two.starts()
    two.ends("was killed and goes on from its last checkpoint")
    two.starts()
    two.epoch(2)
    two.ends()


def test_a_log_has_a_line_per_event(capfd):
    display = make_display(RUNS)
    assert isinstance(display, Log)
    with display:
        told(display)
    assert capfd.readouterr().err.splitlines() == [
        "lif seed 1 is trained by another process",
        "1 of 2 runs: lif seed 0, validation 75.0 %, 2 epochs, 0 s",
        "lif seed 1 was killed and goes on from its last checkpoint",
        "2 of 2 runs: lif seed 1, 2 epochs, 0 s",
    ]


def test_a_terminal_has_bars(capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    display = make_display(RUNS)
    assert isinstance(display, Bars)
    with display:
        told(display)
        assert not display.bars
        assert (display.total.n, display.total.total) == (4, 4)
    said = capfd.readouterr().err
    for text in (
        "lif seed 0, validation 50.0 %",
        "2 of 2 runs",
        "lif seed 1 was killed and goes on",
    ):
        assert text in said


def test_a_notebook_has_a_table_that_needs_no_widgets(monkeypatch):
    shown = []
    handle = types.SimpleNamespace(update=lambda cell: shown.append(cell._repr_html_()))
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    kernel = types.ModuleType("IPython.display")
    kernel.display = lambda cell, display_id: handle
    monkeypatch.setitem(sys.modules, "IPython.display", kernel)
    display = make_display([("<lif>", 2), RUNS[1]])
    assert isinstance(display, Cell)
    with display:
        told(display)
    assert "<progress value='1' max='2'></progress> &lt;lif&gt;, validation 50.0 %" in shown[1]
    assert "lif seed 1 was killed and goes on from its last checkpoint" in shown[-1]
    assert shown[-1].count("<progress") == 1, "nothing runs any more"
    assert repr(display).startswith("2 of 2 runs, 4 of 4 epochs")
