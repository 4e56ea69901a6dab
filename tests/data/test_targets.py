import numpy as np
import pytest
import torch

from neurodyn.data.targets import UNLABELLED, Targets


def test_classes_per_step():
    asked = Targets("classes", 3, per_step=True)
    found = asked.checked(np.array([[0, 2, -1], [1, UNLABELLED, 0]]), "Mine", steps=3)
    assert found.tolist() == [[0, 2, UNLABELLED], [1, UNLABELLED, 0]]
    assert found.dtype == torch.int64
    with pytest.raises(ValueError, match=r"Mine: found labels of shape \(2, 3\).*step, \(N, 4\)"):
        asked.checked(found, "Mine", steps=4)
    with pytest.raises(ValueError, match="found labels from 0 to 3, expected 0 to 2"):
        asked.checked(torch.tensor([[0, 3, 1]]), "Mine", steps=3)
    with pytest.raises(ValueError, match="found no labelled step"):
        asked.checked(torch.full((2, 3), -1), "Mine", steps=3)
    with pytest.raises(ValueError, match="expected samples with time"):
        Targets("values", 1, per_step=True).checked(torch.zeros(2, 3), "Mine")


def test_values():
    asked = Targets("values", 2)
    found = asked.checked([[1, 2], [3, float("nan")]], "Mine")
    assert found.dtype == torch.float32
    assert found.shape == (2, 2)
    assert Targets("values", 1).checked([1.0, 2.0], "Mine").shape == (2, 1)
    course = Targets("values", 1, per_step=True).checked(torch.zeros(2, 5), "Mine", 5)
    assert course.shape == (2, 5, 1)
    with pytest.raises(ValueError, match=r"found values of shape \(2, 3\), expected \(N, 2\)"):
        asked.checked(torch.zeros(2, 3), "Mine")
    with pytest.raises(ValueError, match="found infinite values"):
        asked.checked(torch.tensor([[1.0, torch.inf]]), "Mine")
    with pytest.raises(ValueError, match="found no values but NaN"):
        asked.checked(torch.full((2, 2), torch.nan), "Mine")
    scaled = asked.scaled(torch.tensor([[1.0, 5.0], [3.0, torch.nan], [torch.nan, 5.0]]))
    assert (scaled.mean, scaled.std) == ((2.0, 5.0), (1.0, 1.0))
    assert Targets("classes", 2).scaled(torch.zeros(3)) == Targets("classes", 2)


def test_labels():
    asked = Targets("labels", 2)
    assert asked.checked(np.array([[True, False]]), "Mine").tolist() == [[1.0, 0.0]]
    with pytest.raises(ValueError, match="found the label 2, expected 0 or 1"):
        asked.checked([[0, 2]], "Mine")


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="kind: expected one of classes, labels, values, got 'x'"):
        Targets("x", 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outputs: expected at least 2, got 1"):
        Targets("classes", 1)
    with pytest.raises(ValueError, match="names: expected one for each of 3"):
        Targets("classes", 3, names=("a", "b"))
    with pytest.raises(ValueError, match="std: expected numbers above 0"):
        Targets("values", 1, mean=(0.0,), std=(0.0,))


def test_a_choice_is_stratified_by_the_class_of_a_sample():
    labels = torch.tensor([0, 1, 1])
    assert Targets("classes", 2).strata(labels).tolist() == [0, 1, 1]
    assert Targets("values", 1).strata(torch.rand(3, 1)).tolist() == [0, 0, 0]
    assert Targets("classes", 2, per_step=True).strata(torch.zeros(3, 4)).tolist() == [0, 0, 0]
