from __future__ import annotations

import numpy as np
import pytest

from neurodyn.data.guess import coding_of, without_padding
from neurodyn.data.targets import UNLABELLED

ONE_HOT = np.eye(3, dtype=np.uint8)


def guess(y, steps=None, task="auto", names=None):
    return coding_of(np.asarray(y), steps, task, names, "y")


@pytest.mark.parametrize(
    ("y", "steps", "kind", "outputs", "per_step"),
    [
        (np.arange(40) % 4, None, "classes", 4, False),
        ((np.arange(40) % 4)[:, None], None, "classes", 4, False),
        (np.arange(40) % 2 == 0, None, "classes", 2, False),
        (ONE_HOT[np.arange(40) % 3], None, "classes", 3, False),
        (np.tile([[1, 1, 0], [0, 0, 0]], (20, 1)), None, "labels", 3, False),
        (np.linspace(0, 1, 40), None, "values", 1, False),
        (np.random.default_rng(0).random((40, 2)), 9, "values", 2, False),
        (np.arange(360).reshape(40, 9) % 5, 9, "classes", 5, True),
        (ONE_HOT[np.arange(360).reshape(40, 9) % 3], 9, "classes", 3, True),
        (ONE_HOT[np.arange(40) % 3].astype(np.float32), None, "classes", 3, False),
        (np.array([[[0.0, 1], [0, 0], [1, 0]]]), 3, "classes", 2, True),
        (np.array([[[0.0, 1], [np.nan, np.nan], [1, 0]]]), 3, "classes", 2, True),
        (np.tile([[1, 1.0, 0], [0, np.nan, 1]], (20, 1)), None, "labels", 3, False),
        (np.ones((40, 9, 3), np.uint8), 9, "labels", 3, True),
        (np.zeros((40, 9), np.float32), 9, "values", 1, True),
        (np.zeros((40, 9, 2), np.float16), 9, "values", 2, True),
    ],
)
def test_kinds(y, steps, kind, outputs, per_step):
    targets = guess(y, steps).targets
    assert (targets.kind, targets.outputs, targets.per_step) == (kind, outputs, per_step)


def test_text_is_sorted_or_in_the_order_of_the_names():
    y = np.array(["dog", "cat", "dog"])
    coding = guess(y)
    assert coding.targets.names == ("cat", "dog")
    assert coding(y, "y").tolist() == [1, 0, 1]
    named = guess(y, names=["dog", "cat", "cow"])
    assert named.targets.outputs == 3
    assert named(y, "y").tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="names: expected all classes, 'cat' is missing"):
        guess(y, names=["dog", "cow"])
    with pytest.raises(ValueError, match=r"test: found the class cow, expected one of .*cat, dog"):
        coding(np.array(["cow"]), "test")


def test_other_whole_numbers_are_classes_by_their_order():
    y = np.array([3, 1, 7] * 9)
    coding = guess(y)
    assert coding.targets.names == ("1", "3", "7")
    assert coding(y, "y")[:3].tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="found the class 2, expected one of"):
        coding(np.array([2]), "test")


def test_steps_without_a_class():
    whole = np.array([[0, 1, -1], [1, UNLABELLED, 0]])
    assert guess(whole, 3)(whole, "y").tolist() == [[0, 1, UNLABELLED], [1, UNLABELLED, 0]]
    rows = ONE_HOT[whole.clip(0)]
    rows[0, 2] = 0
    assert guess(rows, 3)(rows, "y")[0].tolist() == [0, 1, UNLABELLED]
    floats = np.array([[0, 1, np.nan]])
    assert guess(floats, 3, "classes")(floats, "y").tolist() == [[0, 1, UNLABELLED]]
    text = np.array([["a", "", "b"]])
    assert guess(text, 3)(text, "y").tolist() == [[0, UNLABELLED, 1]]


def test_padding_has_no_class_of_its_own():
    y = np.array([[1, 2, 0, 0], [2, 1, 2, 0]])
    cut = without_padding(y, np.array([2, 3]), 4)
    assert guess(cut, 4).targets.names == ("1", "2")
    values = without_padding(np.ones((2, 4)), np.array([2, 3]), 4)
    assert np.isnan(values).sum() == 3
    for task in ("values", "labels"):
        whole = without_padding(np.ones((2, 4), int), np.array([2, 3]), 4, task)
        assert (np.isnan(whole).sum(), np.nansum(whole)) == (3, 5)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (np.arange(40), {}, "40 different whole numbers in 40 samples, .*with task: classes"),
        (np.arange(80).reshape(40, 2), {}, r"whole numbers of shape \(40, 2\).*task"),
        (np.zeros(40, int), {}, "found 1 class, expected at least two"),
        (np.zeros((4, 2, 2)), {}, r"found targets of shape \(4, 2, 2\), expected \(N,\)"),
        (np.zeros(4), {"task": "class"}, "task: unknown name 'class'. Did you mean 'classes'"),
        (np.array([0.5, 1]), {"task": "classes"}, "found 0.5, expected whole numbers or text"),
        (np.array(["a", "b"]), {"task": "values"}, "task: the targets are text"),
        (np.array([1j]), {}, "found targets of complex128"),
        (np.ones((4, 2), int), {"task": "classes"}, "not one class each; expected zeros and a"),
        (np.zeros(4), {"names": ["a", "b"]}, "names: expected 1, one per output, got 2"),
    ],
)
def test_errors(y, options, message):
    with pytest.raises(ValueError, match=message):
        guess(y, **options)


def test_one_word_overrules():
    assert guess(np.arange(40), task="values").targets.kind == "values"
    assert guess(ONE_HOT, task="labels").targets.kind == "labels"
    assert guess(np.arange(40.0) % 3, task="classes").targets.outputs == 3


def test_wrong_numbers_of_steps_and_steps_without_labels_are_named():
    with pytest.raises(ValueError, match=r"\(4, 7\), which could be values.*would be \(N, 9\)"):
        guess(np.full((4, 7), 3), 9)
    with pytest.raises(ValueError, match="y: found no step with a label"):
        guess(np.full((4, 9), -1), 9)
