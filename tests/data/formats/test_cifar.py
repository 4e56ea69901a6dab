from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurodyn.data.formats.cifar import read_batch
from tests.data.files import write_batch

DATA = np.zeros((2, 3072), dtype=np.uint8)


def test_planes_are_red_green_blue_rows_first(tmp_path: Path) -> None:
    pixels = (np.arange(3072) % 251).astype(np.uint8)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({b"data": pixels[None], b"labels": [3]}, protocol=2))
    images, labels = read_batch(path)
    assert images.shape == (1, 3, 32, 32)
    assert images[0, 2, 5, 7] == pixels[2 * 1024 + 5 * 32 + 7]
    assert labels.tolist() == [3]
    assert labels.dtype == torch.int64


def test_fine_labels(tmp_path: Path) -> None:
    path = write_batch(tmp_path / "train", 7, classes=100, key=b"fine_labels")
    _, labels = read_batch(path, "fine_labels")
    assert labels.tolist() == list(range(7))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "found list, expected a dict with 'data' and 'labels'"),
        ({b"data": DATA}, r"found \['data'\], expected a dict with 'data' and 'labels'"),
        ({b"labels": [1, 2]}, r"found \['labels'\]"),
        ({b"data": DATA[:, :-1], b"labels": [1, 2]}, r"of shape \(2, 3071\), expected \(N, 3072\)"),
        ({b"data": [0], b"labels": [1]}, "found 'data' of shape list"),
        ({b"data": DATA, b"labels": [1]}, "found 2 images and 1 labels"),
        ({b"data": DATA, b"labels": [1, 2.5]}, "found 'labels' that are not a list of integers"),
        ({b"data": DATA, b"labels": [1, 2**70]}, "Overflow .*; expected labels from 0 on"),
        ({b"data": DATA, b"labels": DATA}, "found 'labels' that are not a list of integers"),
    ],
)
def test_wrong_content(tmp_path: Path, value: Any, message: str) -> None:
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(value, protocol=2))
    with pytest.raises(ValueError, match=message) as error:
        read_batch(path)
    assert str(path) in str(error.value)
