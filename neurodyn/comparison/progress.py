"""How the runs of a comparison go: bars in a terminal, a table in a notebook, lines in a log."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

EVERY = 0.2
"""Seconds between two drawings in a notebook."""


class Watch(Protocol):
    """What a run tells about itself."""

    def epoch(self, done: int, score: float | None = None) -> None:
        """So many epochs are done; `score` is the validation score of the last one, in percent."""

    def note(self, text: str) -> None:
        """Something that the user has to know."""

    def waits(self) -> None:
        """Another process is at this run."""


class Row:
    """One run: a `Watch`, drawn by the display that it belongs to."""

    def __init__(self, display: Display, label: str, epochs: int) -> None:
        self.display, self.label, self.epochs = display, label, epochs
        self.done, self.score = 0, float("nan")
        self.started: float | None = None
        self.waiting = False

    def starts(self) -> None:
        """A process takes the run."""
        self.started, self.waiting = time.monotonic(), False
        self.display.starts(self)

    def epoch(self, done: int, score: float | None = None) -> None:
        self.done, self.waiting = done, False
        self.score = self.score if score is None else score
        self.display.draw(self)

    def waits(self) -> None:
        self.waiting = True
        self.display.draw(self)

    def note(self, text: str) -> None:
        self.display.note(text)

    def ends(self, how: str = "") -> None:
        """The process is done with the run: `how`, if it was not finished."""
        self.display.ends(self, how)
        self.started = None

    @property
    def state(self) -> str:
        """A phrase for a bar."""
        if self.waiting:
            return f"{self.label} is trained by another process"
        scored = f", validation {self.score:.1f} %" if self.score == self.score else ""
        return f"{self.label}{scored}"


class Display:
    """What all displays share; this one shows nothing. A context.

    Args:
        runs: label and number of epochs of each run.
    """

    def __init__(self, runs: Sequence[tuple[str, int]]) -> None:
        self.rows = [Row(self, label, epochs) for label, epochs in runs]
        self.finished = 0

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    @property
    def summary(self) -> str:
        """How many runs are finished."""
        return f"{self.finished} of {len(self.rows)} runs"

    def starts(self, row: Row) -> None:
        """A run begins or goes on."""

    def draw(self, row: Row) -> None:
        """A run has changed."""

    def ends(self, row: Row, how: str) -> None:
        """A run has ended."""
        self.finished += not how
        if how:
            self.note(f"{row.label} {how}")

    def note(self, text: str) -> None:
        """Show a line that stays."""


class Log(Display):
    """A line when a run ends, and when it waits for another process."""

    def draw(self, row: Row) -> None:
        if row.waiting:
            self.note(row.state)

    def ends(self, row: Row, how: str) -> None:
        super().ends(row, how)
        if not how:
            seconds = time.monotonic() - (row.started or time.monotonic())
            epochs = f"{row.done} epoch{'s' * (row.done != 1)}"
            self.note(f"{self.summary}: {row.state}, {epochs}, {seconds:.0f} s")

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bars(Display):
    """A bar of all epochs, and one for each run that is trained now."""

    def __init__(self, runs: Sequence[tuple[str, int]]) -> None:
        super().__init__(runs)
        self.total: Any = None
        self.bars: dict[int, Any] = {}

    def __enter__(self) -> Bars:
        self.total = self._bar(sum(row.epochs for row in self.rows), self.summary)
        return self

    def __exit__(self, *_: Any) -> None:
        for bar in (*self.bars.values(), self.total):
            bar.close()

    def starts(self, row: Row) -> None:
        self.bars[id(row)] = self._bar(row.epochs, row.state, leave=False)

    def draw(self, row: Row) -> None:
        if (bar := self.bars.get(id(row))) is not None:
            bar.set_description(row.state, refresh=False)
            _set(bar, row.done)
        _set(self.total, sum(other.done for other in self.rows))

    def ends(self, row: Row, how: str) -> None:
        if (bar := self.bars.pop(id(row), None)) is not None:
            bar.close()
        super().ends(row, how)
        self.total.set_description(self.summary)

    def note(self, text: str) -> None:
        self.total.write(text, file=sys.stderr)

    @staticmethod
    def _bar(epochs: int, text: str, leave: bool = True) -> Any:
        from tqdm.std import tqdm

        return tqdm(total=epochs, desc=text, unit="epoch", dynamic_ncols=True, leave=leave)


def _set(bar: Any, done: int) -> None:
    bar.n = done
    bar.refresh()


class Cell(Display):
    """A table below a notebook's cell. It needs no widgets."""

    def __init__(self, runs: Sequence[tuple[str, int]]) -> None:
        super().__init__(runs)
        self.notes: list[str] = []
        self.handle: Any = None
        self.drawn = 0.0

    def __enter__(self) -> Cell:
        from IPython.display import display

        self.handle = display(self, display_id=True)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: Any) -> None:
        self._show()

    def draw(self, row: Row) -> None:
        if time.monotonic() - self.drawn > EVERY:
            self._show()

    starts = draw

    def ends(self, row: Row, how: str) -> None:
        super().ends(row, how)
        self._show()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._show()

    def _show(self) -> None:
        self.drawn = time.monotonic()
        self.handle.update(self)

    def __repr__(self) -> str:
        done = sum(row.done for row in self.rows)
        epochs = f"{done} of {sum(row.epochs for row in self.rows)} epochs"
        return "\n".join([f"{self.summary}, {epochs}", *self.notes])

    def _repr_html_(self) -> str:
        running = [row for row in self.rows if row.started is not None]
        total = sum(row.epochs for row in self.rows)
        lines = [(sum(row.done for row in self.rows), total, self.summary)]
        lines += [(row.done, row.epochs, row.state) for row in running]
        bars = "".join(
            f"<div><progress value='{done}' max='{of}'></progress> {html.escape(text)}, "
            f"{done} of {of} epochs</div>"
            for done, of, text in lines
        )
        return bars + "".join(f"<div>{html.escape(note)}</div>" for note in self.notes)


def make_display(runs: Sequence[tuple[str, int]]) -> Display:
    """The display that fits where this process runs."""
    if in_notebook():
        return Cell(runs)
    return Bars(runs) if sys.stderr.isatty() else Log(runs)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config
