from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from neurodyn.data import DatasetData
from neurodyn.data.sets import datasets
from tests.data.sets.test_arrays import first


class Items(Dataset):
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


X, Y = torch.rand(60, 3, 8, 8), torch.arange(60) % 3


def test_items_are_read_once():
    data = DatasetData(TensorDataset(X, Y), batch_size=12)
    images, labels = first(data)
    assert images.shape == (12, 3, 8, 8)
    assert labels.dtype == torch.int64
    assert len(data._test) == 12


def test_sets_of_their_own():
    sets = [TensorDataset(X[:n], Y[:n]) for n in (60, 9, 6)]
    data = DatasetData(sets[0], test=sets[1], validation=sets[2])
    data.setup()
    assert [len(part) for part in (data._training, data._test, data._validation)] == [60, 9, 6]
    shares = DatasetData(sets[0], 0.5, 0.1)
    shares.setup()
    assert [len(part) for part in (shares._training, shares._test, shares._validation)] == [
        27,
        30,
        3,
    ]


def test_images_of_pillow_and_plain_numbers():
    image = Image.fromarray(np.zeros((6, 4, 3), np.uint8))
    data = DatasetData(Items(*((image, number % 2) for number in range(20))))
    assert (data.shape, data.outputs) == ((3, 6, 4), 2)
    text = DatasetData(Items(*((torch.rand(5), "ab"[number % 2]) for number in range(20))))
    assert text.targets.names == ("a", "b")
    values = DatasetData(Items(*((torch.rand(5), 0.1 * number) for number in range(20))))
    assert values.targets.kind == "values"


def test_sequences_of_different_lengths_are_padded():
    items = [(torch.ones(n, 4), torch.arange(n) % 2 + 5) for n in (3, 5, 9, 7) * 5]
    data = DatasetData(Items(*items), batch_size=20, validation=0, test=0)
    x, y, lengths = first_training(data)
    assert sorted(lengths.tolist()) == sorted(len(y) for _, y in items)
    assert x.shape == (9, 20, 4)
    assert torch.equal(x.sum((0, 2)), 4.0 * lengths)
    assert data.targets.names == ("5", "6")
    assert torch.equal((y >= 0).sum(0), lengths)


def first_training(data):
    data.setup("fit")
    return data.prepared(next(iter(data.train_dataloader())))


class Endless(IterableDataset):
    def __iter__(self):
        yield 1


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (Items({"x": 1}), r"train: found an item that is a dict, expected \(x, y\)"),
        (Items((1, 2, 3)), r"a tuple of 3, expected \(x, y\)"),
        (Items(), "train: found no items"),
        (
            Items((torch.ones(2, 3), 0), (torch.ones(2, 4), 0)),
            r"\(2, 3\) and \(2, 4\), expected one",
        ),
        (Items((torch.ones(2), torch.ones(1)), (torch.ones(2), torch.ones(2))), "found targets of"),
        (Items(("text", 0)), "x of item 0"),
    ],
)
def test_errors(items, message):
    with pytest.raises(ValueError, match=message):
        DatasetData(items).setup()


def test_what_has_no_length():
    with pytest.raises(ValueError, match=r"train: expected a data set with a length .* Endless"):
        DatasetData(Endless())


def test_too_much_for_memory(monkeypatch):
    monkeypatch.setattr(datasets, "MEMORY", 100)
    with pytest.raises(ValueError, match=r"more than 100 bytes .* write them to a \.npy"):
        DatasetData(TensorDataset(X, Y)).setup()
