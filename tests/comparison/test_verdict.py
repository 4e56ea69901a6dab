import pytest

from neurodyn.comparison.verdict import ahead, mean_and_spread, verdict


def runs(**accuracies):
    return [
        {"neuron": neuron, "score": accuracy}
        for neuron, values in accuracies.items()
        for accuracy in values
    ]


def test_ahead_means_by_more_than_both_spreads():
    assert ahead((92.0, 1.0), (90.0, 1.9))
    assert not ahead((92.0, 1.0), (90.0, 2.0))
    assert not ahead((92.0, 2.0), (90.0, 0.0))
    assert not ahead((90.0, 0.1), (92.0, 0.1))


def test_mean_and_spread():
    assert mean_and_spread([90.0, 92.0, 94.0]) == (92.0, 2.0)
    assert mean_and_spread(iter([90.0])) == (90.0, 0.0)


@pytest.mark.parametrize(
    ("accuracies", "found"),
    [
        (
            {"lif": (80, 81), "lnm": (90, 91), "qif": (84, 92), "plif": (82, 83)},
            "lif and plif, not of qif",
        ),
        ({"lif": (80, 81), "lnm": (90, 91)}, "all others"),
        ({"lif": (80, 90), "lnm": (90, 91)}, "no other"),
    ],
)
def test_a_sentence_on_the_best(accuracies, found):
    assert verdict(runs(**accuracies)) == [f"lnm has the highest mean. It is ahead of {found}."]


def test_many_contenders_are_counted_and_not_named():
    others = {f"n{i}": (80, 81) for i in range(10)}
    assert verdict(runs(lnm=(90, 91), lif=(89, 93), **others)) == [
        "lif has the highest mean. It is ahead of 10 of the 11 others."
    ]


def test_one_seed_has_no_spread_and_no_verdict():
    assert verdict(runs(lif=(80, 81), lnm=(99,))) == []
    assert verdict(runs(lif=(80, 81), lnm=(99,), qif=(70, 71))) == [
        "lif has the highest mean. It is ahead of all others."
    ]
