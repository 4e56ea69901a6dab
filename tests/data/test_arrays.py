from __future__ import annotations

import numpy as np
import pytest
import torch

from neurodyn.data import arrays
from neurodyn.data.arrays import as_array, kept, layout_of, lengths_of_mask, moments, sample_first


@pytest.mark.parametrize(
    ("shape", "timed", "layout", "sample"),
    [
        ((9, 5), False, "rows", (5,)),
        ((9, 8, 8), False, "images", (1, 8, 8)),
        ((9, 8, 8), True, "sequences", (8, 8)),
        ((9, 20, 5), False, "sequences", (20, 5)),
        ((9, 3, 8, 6), False, "images", (3, 8, 6)),
        ((9, 8, 6, 3), False, "images", (3, 8, 6)),
        ((9, 3, 8, 3), False, "images", (3, 8, 3)),
        ((9, 4, 4, 3), False, "images", (3, 4, 4)),
        ((9, 3, 4, 4), False, "images", (3, 4, 4)),
        ((9, 7, 2, 8, 8), False, "sequences", (7, 2, 8, 8)),
        ((9, 5), True, "sequences", (5, 1)),
    ],
)
def test_layouts(shape, timed, layout, sample):
    x = np.zeros(shape)
    found = layout_of(x, "auto", timed=timed, name="x")
    assert found == layout
    assert sample_first(x, found, time_first=False).shape[1:] == sample


def test_a_word_overrules_and_is_checked():
    assert layout_of(np.zeros((9, 8, 8)), "sequences", timed=False, name="x") == "sequences"
    with pytest.raises(ValueError, match=r"x: found shape \(9, 8, 8\), expected rows"):
        layout_of(np.zeros((9, 8, 8)), "rows", timed=False, name="x")
    with pytest.raises(ValueError, match=r"layout: unknown name 'image'. Did you mean 'images'"):
        layout_of(np.zeros((9, 8, 8)), "image", timed=False, name="x")
    with pytest.raises(ValueError, match=r"found shape \(9,\), expected images"):
        layout_of(np.zeros(9), "auto", timed=False, name="x")
    assert sample_first(np.zeros((20, 9, 5)), "sequences", time_first=True).shape == (9, 20, 5)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (np.array([[0, 255]], np.int64), np.uint8),
        (np.array([[-1, 1]], np.int64), np.int8),
        (np.array([[0, 300]], np.uint16), np.int16),
        (np.array([[0, 70_000]], np.uint32), np.int32),
        (np.array([[True]]), np.uint8),
        (np.array([[0.5]]), np.float32),
        (np.array([[0.5]], np.float16), np.float16),
        (np.array([[0.5]], ">f4"), np.float32),
    ],
)
def test_types(given, stored):
    found = kept(given, None, "x")
    assert found.dtype == stored
    assert found.dtype.isnative
    assert np.array_equal(found, given)
    torch.from_numpy(found)


def test_arrays_that_pytorch_does_not_take_as_they_are():
    frozen = np.arange(6, dtype=np.float32).reshape(2, 3)
    frozen.flags.writeable = False
    torch.from_numpy(kept(frozen, None, "x"))
    torch.from_numpy(kept(np.arange(6.0, dtype=np.float32).reshape(2, 3)[:, ::-1], None, "x"))
    assert as_array(torch.ones(2, 2, dtype=torch.bfloat16), "x").dtype == np.float32


def test_mapped_arrays_stay_mapped(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((20, 4)))
    x = np.load(tmp_path / "x.npy", mmap_mode="c")
    found = kept(sample_first(as_array(x, "x"), "rows", time_first=False), None, "x")
    assert found.dtype == np.float64
    assert found._mmap is not None


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[0.0], [np.nan]]), "NaN or infinity in sample 1$"),
        (
            np.array([[[0.0]], [[np.inf]]]),
            "in sample 1; if that is padding, give lengths or a mask",
        ),
        (np.array([[2**25]]), "which a network's floats cannot hold"),
        (np.array([[1e39]]), "which a network's floats cannot hold"),
        (np.array([["a"]]), "x: found <U1, expected numbers"),
        (np.zeros((0, 3)), "found no samples"),
    ],
)
def test_samples_that_cannot_be(x, message):
    with pytest.raises(ValueError, match=message):
        kept(x, None, "x")


def test_the_number_of_the_sample_counts_over_blocks(monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 8)
    x = np.zeros((50, 4))
    x[33, 2] = np.nan
    with pytest.raises(ValueError, match="sample 33"):
        kept(x, None, "x")


def test_padding_need_not_be_finite():
    x = np.ones((3, 4, 2))
    x[1, 2:] = np.nan
    found = kept(x, np.array([4, 2, 4]), "x")
    assert found.sum() == 20
    assert np.isnan(x).any(), "the user's array is as it was"
    with pytest.raises(ValueError, match="sample 1"):
        kept(x, np.array([4, 3, 4]), "x")


@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_moments(block, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", block)
    x = 1e4 + np.random.default_rng(0).random((30, 5, 3)).astype(np.float32)
    rows, lengths = np.arange(3, 30), np.arange(30) % 5 + 1
    mean, std = moments(x, rows, 2, lengths)
    valid = np.concatenate([x[row, : lengths[row]] for row in rows]).astype(np.float64)
    np.testing.assert_allclose(mean, valid.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, valid.std(0), rtol=1e-9)
    assert moments(np.ones((4, 2)), np.arange(4), 1)[1] == (1, 1), "what never varies is not scaled"


def test_masks():
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    assert lengths_of_mask(mask, "mask").tolist() == [2, 3]
    with pytest.raises(ValueError, match="with padding in front of steps"):
        lengths_of_mask(np.array([[0, 1]]), "mask")


def test_what_is_no_array():
    with pytest.raises(ValueError, match=r"x: .*expected an array, samples of one shape"):
        as_array([[1, 2], [3]], "x")
    with pytest.raises(ValueError, match="x: found object of shape"):
        as_array([None], "x")
    assert as_array(np.array(["a", "b"], object), "y").dtype.kind == "U"
