from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from neurodyn.data.samples import Files, Samples, stratified, whole
from neurodyn.data.targets import class_labels

LABELS = torch.arange(10) % 2
UNEVEN = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)


def test_batches_by_index_are_the_single_images() -> None:
    images = Samples(torch.arange(20 * 4).to(torch.uint8).reshape(20, 1, 2, 2), torch.arange(20))
    loader = DataLoader(images, batch_size=6, collate_fn=whole)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [6, 6, 6, 2]
    for index in range(20):
        image, label = images[index]
        assert torch.equal(batches[index // 6][0][index % 6], image)
        assert batches[index // 6][1][index % 6] == label


def test_subset_keeps_the_order_asked_for() -> None:
    images = Samples(torch.zeros(5, 1, 2, 2, dtype=torch.uint8), torch.arange(5))
    assert images.subset(torch.tensor([3, 0])).labels.tolist() == [3, 0]


@pytest.mark.parametrize("balanced", [False, True])
def test_order_is_a_permutation_that_depends_on_the_seed_alone(balanced: bool) -> None:
    order = stratified(UNEVEN, 0, balanced=balanced)
    assert order.sort().values.tolist() == list(range(100))
    torch.manual_seed(5)
    assert torch.equal(order, stratified(UNEVEN, 0, balanced=balanced))
    assert not torch.equal(order, stratified(UNEVEN, 1, balanced=balanced))


def test_every_prefix_is_in_proportion() -> None:
    order = stratified(UNEVEN, 0)
    for number in range(1, 101):
        found = UNEVEN[order[:number]].bincount(minlength=3)
        expected = number * torch.tensor([0.5, 0.3, 0.2])
        assert (found - expected).abs().max() <= 1


def test_balanced_prefixes_are_even_as_far_as_classes_go() -> None:
    order = stratified(UNEVEN, 0, balanced=True)
    for number, expected in ((3, [1, 1, 1]), (30, [10, 10, 10]), (80, [30, 30, 20])):
        assert UNEVEN[order[:number]].bincount().tolist() == expected


def test_ties_are_broken_at_random() -> None:
    labels = torch.arange(100) % 10
    first = {int(labels[stratified(labels, seed, balanced=True)[0]]) for seed in range(50)}
    assert len(first) > 5


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.int(),
        LABELS.bool(),
        LABELS.to(torch.uint16),
        LABELS.float(),
        LABELS.bfloat16(),
        LABELS.numpy(),
        LABELS.numpy().astype(np.float32),
        LABELS.tolist(),
        tuple(LABELS),
    ],
)
def test_whole_labels_of_any_type(labels: Any) -> None:
    found = class_labels(labels, 2, "Mine")
    assert found.tolist() == LABELS.tolist()
    assert found.dtype == torch.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.full((10,), 0.7), "found the label 0.7, expected one whole number from 0 to 1 per"),
        (LABELS - 0.25, "found the label -0.25, expected one whole number"),
        (torch.full((10,), torch.nan), "found the label nan, expected one whole number"),
        (torch.full((10,), torch.inf), "found labels from inf to inf, expected 0 to 1"),
        (LABELS.float() - 1, "found labels from -1 to 0, expected 0 to 1"),
        (LABELS[:, None], r"found labels of shape \(10, 1\), expected .*; take labels\[:, 0\]"),
        (torch.eye(10), r"found labels of shape \(10, 10\), .*; take labels.argmax\(1\)"),
        (torch.zeros(10, 2, 2), r"found labels of shape \(10, 2, 2\), expected .*\(N,\)$"),
        (torch.tensor(1), r"found labels of shape \(\), expected"),
        (LABELS.to(torch.complex64), "found labels of torch.complex64, expected"),
        (np.full(10, 2**64 - 1, np.uint64), "found labels from -1 to -1, expected 0 to 1"),
        (["cat", "dog"] * 5, "found labels in a list .*expected one whole number"),
        ([[1], [1, 2]] * 5, "found labels in a list .*expected one whole number"),
        (None, "found labels in a NoneType .*expected one whole number"),
        ([], "found labels none, expected 0 to 1"),
    ],
)
def test_labels_that_are_not_classes(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"Mine: {message}"):
        class_labels(labels, 2, "Mine")


def test_files_are_named_as_they_were_given(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(3))
    path = tmp_path / "one.npy"
    for given in (path, str(path), [path], [str(path)]):
        files = Files.of(given, np.load)
        assert files.names == [str(path)]
        assert files.values[torch.tensor([0])].tolist() == [[1, 1, 1]]
    with pytest.raises(ValueError, match=f"files: expected files, got the folder {tmp_path}; "):
        Files.of([tmp_path], np.load)
