"""Draws that must never change: a resumed or repeated training depends on them."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from neurodyn.data import EventData, ImageData
from neurodyn.data.augment.events import EventAugment
from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.augment.spikes import SpikeAugment
from neurodyn.data.sets.heidelberg import SpikeData


class Photographs(ImageData):
    shape, classes = (3, 32, 32), 10
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


class Frames(EventData):
    side, classes = 34, 10


class Trains(SpikeData):
    classes, recorded = 20, 140


def digest(data: Any) -> str:
    """Of two training batches; rounded, so that it is the same on every processor."""
    draws = torch.Generator().manual_seed(0)
    shape = (32, *data.sample_shape)
    samples = torch.randint(256, shape, generator=draws, dtype=torch.uint8)
    labels = torch.randint(data.classes, (32,), generator=draws)
    digest = hashlib.sha256()
    for seed in (0, 2**40 + 1):
        for part in data.prepare(samples, labels, seed):
            digest.update((part * 256).round().int().numpy().tobytes())
    return digest.hexdigest()[:16]


def test_images() -> None:
    augment = ImageAugment(crop=4, flip=True, cutout=16, auto_augment=True)
    assert digest(Photographs(augment=augment)) == "4125bad4c70f1a21"


def test_events() -> None:
    augment = EventAugment(flip=True, roll=5, nda=True, drop=0.5)
    assert digest(Frames(steps=5, augment=augment)) == "29c1133fb23fd9cd"


def test_spikes() -> None:
    augment = SpikeAugment(stretch=0.27, shift=9, cutmix=0.5, time_mask=0.65, channel_mask=0.65)
    assert digest(Trains(augment=augment)) == "283b6877005200c2"
