import pytest
import torch

from neurodyn.analysis.confusion import plot_confusion


def test_shares_are_of_the_true_class():
    axis = plot_confusion(torch.tensor([[3, 1], [0, 0]]), ("cat", "dog"), title="t").axes[0]
    assert [text.get_text() for text in axis.texts] == ["75", "25"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog"]
    assert axis.get_title() == "t"


def test_many_classes_have_no_numbers():
    assert not plot_confusion(torch.eye(100)).axes[0].texts


def test_what_is_not_a_matrix_of_classes():
    with pytest.raises(ValueError, match=r"counts: expected \(K, K\), got \(2, 3\)"):
        plot_confusion(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="names: expected 2, got 1"):
        plot_confusion(torch.eye(2), ["a"])
