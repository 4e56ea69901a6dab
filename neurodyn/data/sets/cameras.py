"""The data sets of event cameras: N-MNIST, CIFAR10-DVS, DVS128 Gesture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.data import catalogue
from neurodyn.data.archive import Source
from neurodyn.data.augment.events import EventAugment
from neurodyn.data.cache import cached
from neurodyn.data.formats.events import read_events
from neurodyn.data.formats.frames import By, check_window, event_frames, height_and_width
from neurodyn.data.formats.reading import reading
from neurodyn.data.samples import Batch, Files
from neurodyn.data.sequences import SequenceData
from neurodyn.errors import check, unknown


class EventData(SequenceData):
    """Base of the data sets of event cameras: frames of event counts, `(T, B, 2, H, W)`.

    The frames of a set are made once and kept in the cache folder, memory-mapped.

    Args:
        root: folder that holds the data sets, each in Tonic's layout.
        steps: number of frames T.
        by: "count" gives every frame the same number of events (up to T - 1 at the recording's end
            are left out), "time" the same length of time.
        start_ms: with `duration_ms`, the start of the first frame, in milliseconds after the
            recording's first event.
        duration_ms: the length of all frames together, in milliseconds, the same for all
            recordings; needs `by` "time". Unless given, the frames divide each recording.
        size: side of the frames in pixels, or their height and width, each pixel the average of the
            sensor's; the sensor's own unless given.
        augment: how training samples are varied.
        options: as `SampleData`.
    """

    source: ClassVar[Source]
    side: ClassVar[int | tuple[int, int]]
    """Side of the sensor in pixels, or its height and width."""

    def __init__(
        self,
        root: str = "~/.cache/neurodyn/data",
        steps: int = 10,
        by: By = "count",
        start_ms: float = 0.0,
        duration_ms: float | None = None,
        size: int | tuple[int, int] | None = None,
        augment: EventAugment = EventAugment(),  # noqa: B008 - it cannot be changed
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        check("steps", steps, 1)
        if by not in ("count", "time"):
            raise unknown("by", by, ("count", "time"))
        check_window(by, start_ms, duration_ms)
        self.steps, self.by, self.start_ms, self.duration_ms = steps, by, start_ms, duration_ms
        self.size, self.augment = size, augment
        self.check_size()

    def check_size(self) -> None:
        """Refuse frames that are larger than the sensor."""
        for pixels, most in zip(self.shape[1:], self.sensor, strict=True):
            check("size", pixels, 1, most)

    @property
    def sensor(self) -> tuple[int, int]:
        """The sensor's height and width."""
        return height_and_width(self.side)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (2, *(self.sensor if self.size is None else height_and_width(self.size)))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.steps, 2, *self.sensor)

    def files(self, train: bool) -> list[tuple[Path, int]]:
        """The recordings of the training or test set and their labels."""
        raise NotImplementedError(f"{type(self).__name__} does not define its files")

    def read(self, train: bool) -> Batch:
        files = self.files(train)
        name = f"{self.source.folder}-{'train' if train else 'test'}".lower()
        values = self.frames(name, [path for path, _ in files])
        return values, torch.tensor([label for _, label in files])

    def frames(self, name: str, paths: list[Path]) -> Tensor:
        """The frames of recordings, `(N, *sample_shape)`, from the cache if they are there."""
        shape = (len(paths), *self.sample_shape)
        return cached(name, self._window, paths, shape, map(self._frames, paths))

    def read_files(self, paths: str | Path | Sequence[str | Path]) -> Files:
        """Recordings in any format that `read_events` reads, as frames like this data set's."""
        return Files.of(paths, self._frames)

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        frames, labels = super().prepare(samples, labels, seed)
        _, height, width = self.shape
        if (height, width) != self.sensor:
            pooled = F.adaptive_avg_pool2d(frames.flatten(0, 1), (height, width))
            frames = pooled.unflatten(0, frames.shape[:2])
        return (frames if seed is None else self.augment(frames, seed)), labels

    @property
    def _window(self) -> dict[str, Any]:
        return {"by": self.by, "start_ms": self.start_ms, "duration_ms": self.duration_ms}

    def _frames(self, path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        events = read_events(path)
        with reading(path, "events that fit the sensor and the frames"):
            return event_frames(events, self.sensor, self.steps, **self._window)


class NMNIST(EventData):
    """Neuromorphic MNIST, 34x34: 60,000 and 10,000 digits in front of a moving camera (Orchard et
    al. 2015). Files: `NMNIST/{Train,Test}/<digit>/*.bin`; some of them are enough.
    """

    classes = 10
    side = 34
    source = catalogue.NMNIST

    def files(self, train: bool) -> list[tuple[Path, int]]:
        paths = self.source.find_all(self.root, "Train" if train else "Test", "[0-9]/*.bin")
        return [(path, int(path.parent.name)) for path in paths]


class CIFAR10DVS(EventData):
    """CIFAR10-DVS, 128x128: 10,000 of CIFAR-10's images moving in front of a DVS128 (Li et al.
    2017). Files: `CIFAR10DVS/<class>/*.aedat4`, or `.aedat` as published.

    There is no published split. As in most papers, the first 900 of each class by number are the
    training set and the last 100 the test set.

    Args:
        root: folder that holds the data sets.
        train_share: the training set's share of each class; .7 in some papers.
        options: as `EventData`.
    """

    classes = 10
    side = 128
    source = catalogue.CIFAR10DVS

    NAMES: ClassVar[tuple[str, ...]] = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )

    def __init__(
        self, root: str = "~/.cache/neurodyn/data", train_share: float = 0.9, **options: Any
    ) -> None:
        super().__init__(root, **options)
        if not 0 < train_share < 1:
            raise ValueError(f"train_share: expected a number between 0 and 1, got {train_share}")
        self.train_share = train_share

    def files(self, train: bool) -> list[tuple[Path, int]]:
        files = []
        for label, name in enumerate(self.NAMES):
            paths = sorted(self.source.find_all(self.root, name, "*.aedat*"), key=_number)
            first = round(self.train_share * len(paths))
            files += [(path, label) for path in (paths[:first] if train else paths[first:])]
        return files


class DVSGesture(EventData):
    """DVS128 Gesture, 128x128: 11 gestures of 29 people under three lights (Amir et al. 2017); 23
    people are in the training set.

    Files: `DVSGesture/ibmGesture{Train,Test}/<person_light>/<label>.npy`.
    """

    classes = 11
    side = 128
    source = catalogue.DVS_GESTURE

    def files(self, train: bool) -> list[tuple[Path, int]]:
        paths = self.source.find_all(
            self.root, f"ibmGesture{'Train' if train else 'Test'}", "*/*.npy"
        )
        for path in paths:
            if not path.stem.isdecimal():
                raise ValueError(f"{path}: expected a label for its name, such as 7.npy")
        return [(path, int(path.stem)) for path in paths]


def _number(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else -1, path.name
