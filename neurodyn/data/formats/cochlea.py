"""A small cochlea: it turns sound into the spikes of its channels, chunk by chunk."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurodyn.data.formats.reading import reading
from neurodyn.errors import check, require

Array = np.ndarray[Any, Any]


class CochleaState(NamedTuple):
    """The state of a `Cochlea` between two chunks of sound."""

    filters: Array
    """The filters' memories, `(channels, 8)`."""

    membrane: Array
    """The neurons' potentials, `(channels,)`."""

    rest: Array
    """The sound that does not yet fill a step."""


@dataclass(frozen=True)
class Cochlea:
    """Gammatone filters, half-wave rectification, compression, and one LIF neuron per channel:

        y_c = gammatone_c * x                       4th order, one ERB wide (Slaney 1993)
        i_c = gain sum_step max(y_c, 0)^power dt    a hair cell's output in one step
        h_c = exp(-step / tau) u_c + i_c
        n_c = floor(h_c), u_c = h_c - n_c           one spike for each threshold (of 1) crossed

    Centre frequencies are equally far apart on the ERB scale (Glasberg & Moore 1990). Everything is
    causal: `counts, state = cochlea(chunk, state, return_state=True)` gives chunk by chunk exactly
    the result of one call. It is an engineering model, not physiology: it makes spikes from sound
    with SciPy's filters.

    Args:
        rate: samples per second.
        channels: number of filters.
        lowest: centre frequency of the first filter in Hz.
        highest: centre frequency of the last filter in Hz; 0.45 of the rate unless given.
        step_ms: length of a timestep in milliseconds; a whole number of samples.
        gain: current per second of a full-scale input; with 800, speech at a tenth of full scale
            makes about 0.4 spikes per channel and step.
        power: of the compression; 0.3 is the slope of loudness over pressure (Stevens 1957).
        tau_ms: membrane time constant in milliseconds; input that does not drive a neuron to its
            threshold within about this time never makes it spike.
    """

    rate: int
    channels: int = 64
    lowest: float = 100.0
    highest: float | None = None
    step_ms: float = 10.0
    gain: float = 800.0
    power: float = 0.3
    tau_ms: float = 10.0

    def __post_init__(self) -> None:
        check("rate", self.rate, 1)
        check("channels", self.channels, 1)
        if self.highest is not None:
            check("highest", self.highest, self.lowest, self.rate / 2)
        for name in ("lowest", "step_ms", "gain", "power", "tau_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        samples = self.rate * self.step_ms / 1000
        if self.samples < 1 or abs(self.samples - samples) > 1e-9:
            raise ValueError(
                f"step_ms: expected a whole number of samples at {self.rate} per second, "
                f"got {self.step_ms} ms of {samples:g}"
            )

    @property
    def samples(self) -> int:
        """Samples per timestep."""
        return round(self.rate * self.step_ms / 1000)

    @cached_property
    def frequencies(self) -> Array:
        """Centre frequency of each channel in Hz."""
        ends = np.array([self.lowest, self.highest or 0.45 * self.rate])
        # The number of equivalent rectangular bandwidths below a frequency, and back.
        first, last = 21.4 * np.log10(1 + 0.00437 * ends)
        bands = np.linspace(first, last, self.channels)
        return np.asarray((10 ** (bands / 21.4) - 1) / 0.00437)

    @cached_property
    def _filters(self) -> list[tuple[Array, Array]]:
        signal = require("scipy.signal", "audio")
        return [signal.gammatone(f, "iir", fs=self.rate) for f in self.frequencies]

    def __call__(
        self, sound: Array, state: CochleaState | None = None, *, return_state: bool = False
    ) -> Any:
        """Spike counts `(steps, channels)` of the steps that the sound completes.

        Args:
            sound: `(samples,)`, full scale from -1 to 1.
            state: the state after the sound before; silence unless given.
            return_state: return the state too.
        """
        if sound.ndim != 1 or not np.isfinite(sound).all():
            raise ValueError(f"sound: expected finite (samples,), got shape {sound.shape}")
        if state is None:
            state = CochleaState(np.zeros((self.channels, 8)), np.zeros(self.channels), np.zeros(0))
        sound = np.concatenate([state.rest, sound.astype(np.float64)])
        steps = len(sound) // self.samples
        if not steps:
            nothing = np.empty((0, self.channels), np.int64)
            return (nothing, state._replace(rest=sound)) if return_state else nothing
        used, rest = np.split(sound, [steps * self.samples])
        lfilter = require("scipy.signal", "audio").lfilter
        currents = np.empty((steps, self.channels))
        memories = np.empty_like(state.filters)
        for channel, (b, a) in enumerate(self._filters):
            passed, memories[channel] = lfilter(b, a, used, zi=state.filters[channel])
            through = np.maximum(passed, 0) ** self.power
            currents[:, channel] = through.reshape(steps, self.samples).sum(1)
        currents *= self.gain / self.rate
        counts, membrane = np.empty(currents.shape, np.int64), state.membrane
        leak = np.exp(-self.step_ms / self.tau_ms)
        for step, current in enumerate(currents):
            membrane = leak * membrane + current
            counts[step] = membrane
            membrane = membrane - counts[step]
        if return_state:
            return counts, CochleaState(memories, membrane, rest)
        return counts


def read_wav(path: Path, rate: int) -> Array:
    """The sound of a wav file of one channel, `(samples,)`, full scale from -1 to 1.

    Raises:
        ValueError: the file is not a wav file, has several channels, or another rate.
    """
    wavfile = require("scipy.io.wavfile", "audio")
    with reading(path, "a complete wav file"):
        # From memory: SciPy would take as much as the header claims before it reads a file.
        found, sound = wavfile.read(io.BytesIO(path.read_bytes()))
    if found != rate or sound.ndim != 1:
        shape = "one channel" if sound.ndim == 1 else f"{sound.shape[1]} channels"
        raise ValueError(f"{path}: found {shape} at {found} Hz, expected one at {rate} Hz")
    if sound.dtype.kind == "f":
        return np.asarray(sound)
    # Bytes are unsigned, around 128.
    middle = 128 if sound.dtype == np.uint8 else 0
    return np.asarray((sound.astype(np.float64) - middle) / 2.0 ** (8 * sound.itemsize - 1))
