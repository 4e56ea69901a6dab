"""What was recorded from one cell: current and voltage over time, in one set of units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodyn.biophysics.recordings.units import check_magnitudes
from neurodyn.errors import check

Array = NDArray[np.float64]
DEAD = 1.0
"""A second crossing within this time belongs to the same spike [ms]."""
ALIKE = 0.01
"""Currents whose difference has less than this share of their spread are repeats of one another."""


class Recording:
    """Current and voltage of one cell over time, in sweeps of one length.

    Args:
        current: injected current [nA], (T,) or (T, sweeps).
        voltage: membrane potential [mV], of the same shape.
        dt: time between samples [ms]. The k-th sample is at `k dt`.
        threshold: a spike is where the voltage crosses this upwards [mV].
        names: of the sweeps.
        notes: what a reader found, for `repr`.
        before: for each sweep, spike times before its start [ms], negative: `split` keeps them, as
            they still act on what follows.
        starts: when each sweep began [ms]. The spikes of earlier sweeps then are `before`.
        lead: the current before the start [nA], as `current`: `split` keeps it too, for a dendrite
            and an electrode follow the current slowly. Unless given, it was the first value.

    Raises:
        ValueError: shapes that differ, gaps (NaN), a `dt` that is not positive, or magnitudes that
            are volts, amperes or picoamperes.
    """

    def __init__(
        self,
        current: ArrayLike,
        voltage: ArrayLike,
        dt: float | None,
        *,
        threshold: float = 0.0,
        names: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        before: Sequence[Array] | None = None,
        starts: Sequence[float] | None = None,
        lead: ArrayLike | None = None,
    ) -> None:
        self.current, self.voltage = _sweeps("current", current), _sweeps("voltage", voltage)
        if self.current.shape != self.voltage.shape:
            raise ValueError(
                f"current, voltage: expected the same shape, got {self.current.shape} and "
                f"{self.voltage.shape} (samples, sweeps)"
            )
        if dt is None:
            raise ValueError("dt: expected the time between samples [ms], got None")
        check("dt", dt, 1e-6)
        self.dt, self.threshold, self.notes = float(dt), float(threshold), tuple(notes)
        sweeps = self.current.shape[1]
        self.names = tuple(names or (f"sweep {k}" for k in range(sweeps)))
        if len(self.names) != sweeps:
            raise ValueError(f"names: expected {sweeps}, one per sweep, got {len(self.names)}")
        for name, values in (("current", self.current), ("voltage", self.voltage)):
            _check_gaps(name, values, self.dt, self.names)
        check_magnitudes(self.current, self.voltage)
        self.lead = self.current[:0] if lead is None else _sweeps("lead", lead, least=0)
        if self.lead.shape[1] != sweeps:
            raise ValueError(f"lead: expected (T, {sweeps}), as current, got {self.lead.shape}")
        _check_gaps("lead", self.lead, self.dt, self.names)
        self.spikes = tuple(self._crossings(k) for k in range(sweeps))
        """Spike times of each sweep [ms], between samples by interpolation."""
        self.before = tuple(before) if before is not None else self._earlier(starts)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        dt: float | None = None,
        protocol: str | None = None,
        threshold: float = 0.0,
    ) -> Recording:
        """A recording from a file or a folder.

        Args:
            path: an `.abf` or `.nwb` file; a folder of `.ibw` files, two channels for each sweep;
                one `.ibw` file, whose other channel lies beside it; a `.txt` or `.csv` file with
                columns of time, current and voltage.
            dt: time between samples [ms], where the file does not say.
            protocol: read the sweeps with this in their names.
            threshold: as for `Recording`.

        Raises:
            ValueError: a file that is broken, or lacks what is needed; it is named.
            ImportError: the extra `recordings` is not installed.
        """
        from neurodyn.biophysics.recordings.read import doubts, read_sweeps, starts

        sweeps, notes = read_sweeps(Path(path), protocol)
        step = dt if sweeps[0].dt is None else sweeps[0].dt
        if step is None:
            raise ValueError(f"{path}: it does not say its sampling rate; give dt=... [ms]")
        try:
            return cls(
                np.stack([sweep.current for sweep in sweeps], 1),
                np.stack([sweep.voltage for sweep in sweeps], 1),
                step,
                threshold=threshold,
                names=[sweep.name for sweep in sweeps],
                notes=[*notes, *doubts(sweeps)],
                starts=starts(sweeps, step),
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @property
    def sweeps(self) -> int:
        """How many there are."""
        return len(self.current[0])

    @property
    def duration(self) -> float:
        """Of a sweep [ms]."""
        return len(self.current) * self.dt

    @property
    def repeats(self) -> list[list[int]]:
        """The sweeps in groups that got the same current."""
        groups: list[list[int]] = []
        for k in range(self.sweeps):
            for group in groups:
                first = self.current[:, group[0]]
                gap = np.abs(self.current[:, k] - first).mean()
                if gap <= ALIKE * max(float(first.std()), 1e-6):
                    group.append(k)
                    break
            else:
                groups.append([k])
        return groups

    def split(self, at: float) -> tuple[Recording, Recording]:
        """The recording before and after a time [ms]. The spikes and the current of the first part
        act on in the second."""
        if not 0 < at < self.duration:
            raise ValueError(f"at: expected a time within {self.duration:g} ms, got {at}")
        n = round(at / self.dt)
        earlier = [
            np.concatenate([old, spikes[spikes <= n * self.dt]]) - n * self.dt
            for old, spikes in zip(self.before, self.spikes, strict=True)
        ]
        lead = np.concatenate([self.lead, self.current[:n]])
        first = self._with(self.current[:n], self.voltage[:n])
        return first, self._with(self.current[n:], self.voltage[n:], before=earlier, lead=lead)

    def __getitem__(self, chosen: slice | Sequence[int]) -> Recording:
        """Some of the sweeps."""
        kept = range(self.sweeps)[chosen] if isinstance(chosen, slice) else list(chosen)
        if len(kept) == 0:
            raise ValueError(f"sweeps: expected some of {self.sweeps}, got none")
        at = list(kept)
        return self._with(
            self.current[:, at],
            self.voltage[:, at],
            names=[self.names[k] for k in at],
            before=[self.before[k] for k in at],
            lead=self.lead[:, at],
        )

    def __len__(self) -> int:
        return self.sweeps

    def coarser(self, dt: float) -> Recording:
        """The same with means of as many samples as fit into `dt` [ms]; itself if none do."""
        n = round(dt / self.dt)
        if n < 2:
            return self
        lead = self.lead[len(self.lead) % n :]
        current, voltage, lead = (_means(x, n) for x in (self.current, self.voltage, lead))
        twin = self._with(current, voltage, dt=n * self.dt, lead=lead)
        twin.spikes = self.spikes
        return twin

    def _with(self, current: Array, voltage: Array, **changes: Any) -> Recording:
        """Other samples of this recording."""
        kept = ("dt", "threshold", "names", "notes", "before", "lead")
        options = {name: getattr(self, name) for name in kept}
        return Recording(current, voltage, **(options | changes))

    def _crossings(self, sweep: int) -> Array:
        v = self.voltage[:, sweep]
        at = np.nonzero((v[:-1] < self.threshold) & (v[1:] >= self.threshold))[0]
        times = (at + (self.threshold - v[at]) / (v[at + 1] - v[at])) * self.dt
        return times[np.diff(times, prepend=-np.inf) > DEAD]

    def _earlier(self, starts: Sequence[float] | None) -> tuple[Array, ...]:
        """The spikes of earlier sweeps, on the clock of each."""
        if starts is None:
            return (np.empty(0),) * self.sweeps
        if len(starts) != self.sweeps or (np.diff(starts) < (1 - 1e-9) * self.duration).any():
            raise ValueError(
                f"starts: expected {self.sweeps} times, each at least {self.duration:g} ms after "
                f"the one before, got {list(starts)}"
            )
        gone = [spikes + start for spikes, start in zip(self.spikes, starts, strict=True)]
        return tuple(
            np.concatenate([np.empty(0), *gone[:k]]) - start for k, start in enumerate(starts)
        )

    def __repr__(self) -> str:
        counts = [len(times) for times in self.spikes]
        groups = self.repeats
        shape = f"{self.sweeps} sweeps of {self.duration / 1000:g} s"
        if len(groups) < self.sweeps:
            shape += f" ({len(groups)} currents)" if len(groups) > 1 else " of one current"
        lines = [
            f"Recording: {shape} at {1 / self.dt:g} kHz",
            f"  current {self.current.min():.3g} to {self.current.max():.3g} nA",
            f"  voltage {self.voltage.min():.1f} to {self.voltage.max():.1f} mV",
            f"  spikes  {sum(counts)} ({', '.join(map(str, counts))})",
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _means(x: Array, n: int) -> Array:
    """Of each `n` samples; what is left over is dropped."""
    rows = len(x) // n
    return np.asarray(x[: rows * n].reshape(rows, n, x.shape[1]).mean(1))


def _sweeps(name: str, given: ArrayLike, least: int = 2) -> Array:
    values = np.asarray(given, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] == 0 or len(values) < least:
        raise ValueError(f"{name}: expected (T,) or (T, sweeps), got {np.shape(given)}")
    return values


def _check_gaps(name: str, values: Array, dt: float, names: Sequence[str]) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        k = int(bad.any(0).argmax())
        first, count = int(bad[:, k].argmax()), int(bad[:, k].sum())
        raise ValueError(
            f"{name}: expected numbers without gaps, got {count} NaN or infinite samples in "
            f"{names[k]}, the first at {first * dt:g} ms"
        )
