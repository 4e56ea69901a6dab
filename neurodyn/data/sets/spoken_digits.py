"""Spoken digits whose speakers are known, as spikes of two cochlea models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurodyn.data import catalogue
from neurodyn.data.cache import cached
from neurodyn.data.formats.cochlea import Cochlea, read_wav
from neurodyn.data.formats.reading import reading
from neurodyn.data.formats.spikes import read_speakers
from neurodyn.data.samples import Batch, Files, Samples
from neurodyn.data.sets.heidelberg import SpikeData
from neurodyn.errors import unknown

_WAV = re.compile(r"(\d)_(\w+)_(\d+)\.wav")


Names = np.ndarray[Any, np.dtype[np.str_]]
Rows = np.ndarray[Any, np.dtype[np.bool_]]


class Recordings(NamedTuple):
    """Samples and their speakers."""

    values: Tensor
    labels: Tensor
    speakers: Names

    def rows(self, chosen: Rows) -> Recordings:
        """Some of them."""
        where = torch.from_numpy(chosen)
        return Recordings(self.values[where], self.labels[where], self.speakers[chosen])


class SpeakerData(SpikeData):
    """Base of spoken digits whose speakers are known. A network can be tested on speakers that it
    has never heard.

    Args:
        root: folder that holds the data sets.
        test_speaker: all recordings of this speaker, or of these, are the test set; the others are
            trained on. Unless given, the test set is the published one, whose speakers are trained
            on.
        validation: as `SampleData`, or the name of a speaker whose recordings are set aside, or a
            list of names. Like the test, that measures how well a network does with unknown
            speakers. A test speaker's recordings are never used for validation.
        speakers: the speakers whose recordings are used at all; everyone unless given. Options
            chosen without a speaker can be tested on that speaker afterwards.
        options: as `SpikeData`.
    """

    classes = 10

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        test_speaker: list[str] | str | None = None,
        validation: int | float | list[str] | str = 0.1,
        speakers: list[str] | str | None = None,
        **options: Any,
    ) -> None:
        share, held = (validation, None) if isinstance(validation, int | float) else (0, validation)
        super().__init__(root, validation=share, **options)
        self.validation, self.test_speaker, self.speakers = validation, test_speaker, speakers
        self._tested = _names("test_speaker", test_speaker)
        self._held = _names("validation", held)
        self._used = _names("speakers", speakers)
        for name in self._held:
            if name in self._tested:
                raise ValueError(
                    f"validation: expected other speakers than test_speaker, got {name}"
                )
        self._speakers: Names | None = None

    def recordings(self, train: bool) -> Recordings:
        """The published training or test set."""
        raise NotImplementedError(f"{type(self).__name__} does not define its recordings")

    def read(self, train: bool) -> Batch:
        chosen = self._used_recordings(train)
        if self._tested:
            other = self._used_recordings(not train)
            chosen = Recordings(
                torch.cat([chosen.values, other.values]),
                torch.cat([chosen.labels, other.labels]),
                np.concatenate([chosen.speakers, other.speakers]),
            )
            tested = _of("test_speaker", self._tested, chosen.speakers)
            chosen = chosen.rows(tested != train)
        if train:
            self._speakers = chosen.speakers
        return chosen.values, chosen.labels

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        if not self._held:
            return super().split(samples)
        assert self._speakers is not None
        held = torch.from_numpy(_of("validation", self._held, self._speakers))
        return samples.subset((~held).nonzero()[:, 0]), samples.subset(held.nonzero()[:, 0])

    def _used_recordings(self, train: bool) -> Recordings:
        found = self.recordings(train)
        if not self._used:
            return found
        return found.rows(_among("speakers", self._used, found.speakers))


def _names(option: str, given: list[str] | str | None) -> list[str]:
    names = [] if given is None else [given] if isinstance(given, str) else given
    if given is not None and not names:
        raise ValueError(f"{option}: expected at least one speaker, got an empty list")
    return names


def _among(option: str, names: list[str], speakers: Names) -> Rows:
    """Which recordings are of the speakers named."""
    for name in names:
        if name not in speakers:
            raise unknown(option, name, set(speakers.tolist()))
    return np.isin(speakers, names)


def _of(option: str, names: list[str], speakers: Names) -> Rows:
    """As `_among`, for speakers who are set aside: others have to be left to train on."""
    rows = _among(option, names, speakers)
    if rows.all():
        raise ValueError(
            f"{option}: expected speakers that leave others to train on, got {', '.join(names)}"
        )
    return rows


class SpokenDigitSpikes(SpeakerData):
    """Zero to nine in English: the Free Spoken Digit Dataset's recordings through SHD's cochlea
    model, in SHD's layout (`fsdd_spikes/fsdd_spikes_{train,test}.h5`).

    This is not SHD: it has other speakers, 10 classes, and recordings at 8 kHz, so the channels
    above 4 kHz are silent. Half of the recordings last up to 0.4 s, and 99 % up to 0.8 s.
    """

    recorded = 700
    source = catalogue.SPOKEN_DIGIT_SPIKES

    def recordings(self, train: bool) -> Recordings:
        name = f"fsdd_spikes_{'train' if train else 'test'}.h5"
        path = self.find(name)
        values, labels = self.read_file(name)
        return Recordings(values, labels, read_speakers(path))


class SpokenDigits(SpeakerData):
    """Zero to nine in English: the Free Spoken Digit Dataset (Jackson et al. 2018), its recordings
    `<digit>_<speaker>_<index>.wav` at 8 kHz turned to spikes by `Cochlea`. Those of index 0 to
    4 are the published test set.

    Each recording is first scaled to the same loudness (a root mean square of 0.1 of full scale),
    because the speakers' microphones differ tenfold. Streamed sound must be scaled by the caller.
    """

    recorded = 64
    source = catalogue.SPOKEN_DIGITS

    RATE: ClassVar[int] = 8000
    LEVEL: ClassVar[float] = 0.1

    def __init__(
        self, root: str = "~/.cache/neurodyn/data", channels: int = 64, **options: Any
    ) -> None:
        super().__init__(root, channels=channels, **options)

    def recordings(self, train: bool) -> Recordings:
        paths = self.source.find_all(self.root, "", "*.wav")
        names = [_WAV.fullmatch(path.name) for path in paths]
        if None in names:
            path = paths[names.index(None)]
            raise ValueError(f"{path}: expected a name of the form 7_jackson_32.wav")
        labels, speakers, index = zip(*(name.groups() for name in names if name), strict=True)
        rows = np.flatnonzero((np.array(index, int) >= 5) == train)
        cochlea = self.cochlea
        values = cached(
            "spoken-digits",
            {"cochlea": asdict(cochlea), "level": self.LEVEL},
            paths,
            (len(paths), *self.sample_shape),
            map(self._counts, paths),
        )
        return Recordings(
            values[rows], torch.tensor([int(labels[n]) for n in rows]), np.array(speakers)[rows]
        )

    @property
    def cochlea(self) -> Cochlea:
        """What turns the recordings to spikes."""
        return Cochlea(self.RATE, self.recorded, step_ms=self.step_ms)

    def read_files(self, paths: str | Path | Sequence[str | Path]) -> Files:
        """Recordings of your own, .wav at 8 kHz, through the cochlea."""
        return Files.of(paths, self._counts)

    def _counts(self, path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        sound = read_wav(path, self.RATE)
        loudness = np.sqrt(np.mean(sound**2))
        with reading(path, "sound"):
            counts = self.cochlea(sound * (self.LEVEL / max(loudness, 1e-9)))[: self.steps]
        summed = counts.reshape(len(counts), self.shape[0], -1).sum(2)
        padded = np.zeros(self.sample_shape, np.uint8)
        padded[: len(summed)] = np.minimum(summed, 255)
        return padded
