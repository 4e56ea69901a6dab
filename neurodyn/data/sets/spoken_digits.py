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


class Recordings(NamedTuple):
    """Samples and their speakers."""

    values: Tensor
    labels: Tensor
    speakers: np.ndarray[Any, np.dtype[np.str_]]


class SpeakerData(SpikeData):
    """Base of spoken digits whose speakers are known. A network can be tested on a speaker that it
    has never heard.

    Args:
        root: folder that holds the data sets.
        test_speaker: all recordings of this speaker are the test set; the others are trained on.
            Unless given, the test set is the published one, whose speakers are trained on.
        validation: as `SampleData`, or the name of a speaker whose recordings are set aside. Like
            the test, that measures how well a network does with an unknown speaker. The test
            speaker's recordings are never used for validation.
        options: as `SpikeData`.
    """

    classes = 10

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        test_speaker: str | None = None,
        validation: int | float | str = 0.1,
        **options: Any,
    ) -> None:
        share = 0 if isinstance(validation, str) else validation
        super().__init__(root, validation=share, **options)
        if validation == test_speaker:
            raise ValueError(f"validation: expected another speaker than test_speaker {validation}")
        self.test_speaker, self.validation = test_speaker, validation
        self._speakers: np.ndarray[Any, np.dtype[np.str_]] | None = None

    def recordings(self, train: bool) -> Recordings:
        """The published training or test set."""
        raise NotImplementedError(f"{type(self).__name__} does not define its recordings")

    def read(self, train: bool) -> Batch:
        chosen = self.recordings(train)
        if self.test_speaker is not None:
            both = chosen, self.recordings(not train)
            values = torch.cat([part.values for part in both])
            labels = torch.cat([part.labels for part in both])
            speakers = np.concatenate([part.speakers for part in both])
            self._known("test_speaker", self.test_speaker, speakers)
            rows = (speakers != self.test_speaker) == train
            chosen = Recordings(values[rows], labels[rows], speakers[rows])
        if train:
            self._speakers = chosen.speakers
        return chosen.values, chosen.labels

    def split(self, samples: Samples) -> tuple[Samples, Samples]:
        if not isinstance(self.validation, str):
            return super().split(samples)
        assert self._speakers is not None
        self._known("validation", self.validation, self._speakers)
        held = torch.from_numpy(self._speakers == self.validation)
        return samples.subset((~held).nonzero()[:, 0]), samples.subset(held.nonzero()[:, 0])

    def _known(self, option: str, speaker: str, speakers: np.ndarray[Any, Any]) -> None:
        if speaker not in speakers:
            raise unknown(option, speaker, set(speakers.tolist()))


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
